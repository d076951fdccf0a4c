"""What the folder of one run holds, as tidy rows: one for each metric, split, label budget and draw."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from simclr_steps.figures.points import quality_lines
from simclr_steps.files import read_json
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.plan import Run
from simclr_steps.summary.captions import PICTURES
from simclr_steps.summary.confusion import confusion

Row = dict[str, Any]

SPLITS = ("validation", "test")
_PICTURES = ("galleries/augmentation.png", "galleries/neighbors.png", "umap/backbone.png", "umap/projection_head.png")


@dataclass(frozen=True)
class Picture:
    """A picture of a run, and what to know of it."""

    file: Path
    caption: str  # sentences
    page: Path | None = None  # where it is interactive


@dataclass
class RunResults:
    """One pretraining on one data set from one seed, and what was measured of it."""

    run: Run
    rows: list[Row] = field(default_factory=list)  # the columns of summary.csv, and what is compared as `series`
    history: pd.DataFrame = field(default_factory=pd.DataFrame)  # of the pretraining, a row for each epoch
    records: dict[str, dict[str, Any]] = field(default_factory=dict)  # by stage: what made its results
    confusions: dict[str, pd.DataFrame] = field(default_factory=dict)  # by fine-tuning
    predictions: dict[str, Path] = field(default_factory=dict)  # by fine-tuning: of the test split
    finetune_histories: dict[str, pd.DataFrame] = field(
        default_factory=dict
    )  # by fine-tuning: a row for draw and epoch
    per_class: dict[str, list[list[Row]]] = field(
        default_factory=dict
    )  # by fine-tuning: of each draw, on the test split
    pictures: list[Picture] = field(default_factory=list)
    choice: str = ""  # a sentence: which checkpoint was chosen, and why
    notes: list[str] = field(default_factory=list)  # sentences: what could not be measured

    def add(self, stage: str, metric: str, value: float | None, **keys: Any) -> None:
        """Add a row, unless there is no value."""
        if value is not None and not pd.isna(value):
            run = {"dataset": self.run.dataset, "pretrain": self.run.pretrain, "seed": self.run.seed}
            self.rows.append({**run, "stage": stage, **keys, "metric": metric, "value": value})


def read_run(run: Run, results: Path) -> RunResults:
    """Read the existing stages of a run.

    Raises UserError when there is none, or when a file is damaged.
    """
    folder = results / run.folder
    if not (folder / "pretrain" / "history.csv").exists():
        raise UserError(f"{folder / 'pretrain' / 'history.csv'} does not exist: run pretrain, or fix --results")
    found = RunResults(run)
    try:
        _read_pretrain(found, folder)
        _read_selection(found, folder)
        _read_evaluation(found, folder)
        for name in run.finetunes:
            _read_finetune(found, folder, name)
        quality = _read_umap(found, folder)
        _read(found, "galleries", folder / "galleries" / "run.json")
        found.pictures = _pictures(folder, quality)
    except (KeyError, TypeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(
            f"{folder} contains results from a different version ({error!r}): run its stages again"
        ) from error
    return found


def _pictures(folder: Path, quality: dict[str, Any]) -> list[Picture]:
    pictures = []
    for name in _PICTURES:
        file = folder / name
        if not file.exists():
            continue
        page = file.with_suffix(".html")
        of_layer = quality.get(file.stem, {}) if file.parent.name == "umap" else {}
        sentences = [PICTURES[file.stem].short, *(f"{line}." for line in quality_lines(of_layer))]
        pictures.append(Picture(file, " ".join(sentences), page if page.exists() else None))
    return pictures


def _read(found: RunResults, stage: str, path: Path) -> dict[str, Any] | None:
    """Read a JSON file if it exists, and keep the record in it."""
    if not path.exists():
        return None
    content: dict[str, Any] = read_json(path)
    found.records[stage] = content.get("run", content)
    return content


def _read_pretrain(found: RunResults, folder: Path) -> None:
    _read(found, "pretrain", folder / "pretrain" / "run.json")
    found.history = history = pd.read_csv(folder / "pretrain" / "history.csv")
    last = history.iloc[-1]
    found.add("pretrain", "epochs", last["epoch"])
    found.add("pretrain", "seconds", last["seconds"])
    found.add("pretrain", "images_per_second", float(history["images_per_second"].median()))
    found.add("pretrain", "loss", last["loss"], split="train")
    found.add("pretrain", "loss", last.get("validate_loss"), split="validation")


def _read_selection(found: RunResults, folder: Path) -> None:
    selection = _read(found, "select", folder / "encoder" / "selection.json")
    if selection:
        chosen = next(row for row in selection["candidates"] if row["file"] == selection["chosen"])
        found.choice = f"{selection['chosen']} of epoch {selection['epoch']} was chosen: {selection['why']}."
        found.add("select", "epoch", selection["epoch"])
        found.add("select", "loss", chosen.get("validate_loss"), split="validation")
        found.add("select", "knn_accuracy", chosen.get("knn_accuracy"), split="validation")


def _read_evaluation(found: RunResults, folder: Path) -> None:
    knn = _read(found, "knn", folder / "evaluate" / "knn.json")
    linear = _read(found, "linear", folder / "evaluate" / "linear.json")
    for split in SPLITS:
        if knn and split in knn:
            for metric in ("accuracy", "weighted_accuracy"):
                found.add("knn", metric, knn[split][metric], input="simclr", split=split)
    for row in linear["results"] if linear else []:
        keys = {key: row[key] for key in ("input", "labels", "draw", "split")}
        found.add("linear", "accuracy", row["accuracy"], series=row["input"], **keys)
    for key in ("probe", "probe_on_views") if linear else ():
        for split, accuracy in (linear.get(key) or {}).items():  # type: ignore[union-attr]
            found.add("linear", f"{key}_accuracy", accuracy, input="simclr", split=split)
    if linear and linear["note"]:
        found.notes.append(linear["note"])


def _read_finetune(found: RunResults, folder: Path, name: str) -> None:
    metrics = _read(found, f"finetune {name}", folder / "finetune" / name / "metrics.json")
    if not metrics:
        return
    predictions = folder / "finetune" / name / "predictions.parquet"
    if predictions.exists():
        found.confusions[name] = confusion(pd.read_parquet(predictions))
        found.predictions[name] = predictions
    history = folder / "finetune" / name / "history.csv"
    if history.exists():
        found.finetune_histories[name] = pd.read_csv(history)
    of_draws = [draw["test"].get("per_class", []) for draw in metrics["draws"] if draw["test"]]
    found.per_class[name] = [row for rows in of_draws for row in rows]
    series = f"finetune-{metrics['init']}{'-frozen' if metrics['freeze'] else ''}"
    for draw in metrics["draws"]:
        labels = draw.get("label_count", metrics["label_count"])
        keys = {"input": name, "labels": labels, "draw": draw["draw"], "series": series}
        for split in SPLITS:
            for metric, value in (draw[split] or {}).items():
                if isinstance(value, float):  # a confusion matrix and the number of images are not metrics
                    found.add("finetune", metric, value, split=split, **keys)


def _read_umap(found: RunResults, folder: Path) -> dict[str, Any]:
    quality = _read(found, "umap", folder / "umap" / "quality.json") or {}
    for layer in ("backbone", "projection_head") if quality else ():
        for metric, value in quality[layer].items():
            if isinstance(value, float):
                split = found.records["umap"].get("settings", {}).get("split", "test")
                found.add("umap", metric, value, input=layer, split=split)
    if quality and quality["backbone"]["note"]:
        found.notes.append(f"UMAP: {quality['backbone']['note']}")
    return quality
