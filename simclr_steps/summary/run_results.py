"""What the folder of one run holds, as tidy rows: one for each metric, split, label budget and draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simclr_steps.data.correct import Correct, read_correct
from simclr_steps.data.splits import JUDGED
from simclr_steps.figures.points import quality_lines
from simclr_steps.files import read_json
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.plan import Run
from simclr_steps.summary.captions import PICTURES
from simclr_steps.summary.confusion import confusion
from simclr_steps.summary.courses import course
from simclr_steps.summary.headline import SERIES
from simclr_steps.summary.intervals import ByGroup, interval
from simclr_steps.summary.parents import METRICS

Row = dict[str, Any]

_BALANCED = "balanced_"  # begins the names of measures in which all classes count alike
_SHARES = ("accuracy", "top_5_accuracy", "balanced_accuracy")  # of a fine-tuning's metrics, those of images
_GROUPED = ("label_groups", "budget")  # of a result, where images have groups
_PICTURES = (
    *("galleries/augmentation.png", "galleries/neighbors.png"),
    *("umap/backbone.png", "umap/projection_head.png", "umap/metadata.png"),
)


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
    history: pd.DataFrame = field(
        default_factory=pd.DataFrame
    )  # of the pretraining, a row for each epoch, behind those that it continues
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
    correct: dict[str, Correct] = field(default_factory=dict)  # by input: which images are right
    tuned: dict[str, Correct] = field(default_factory=dict)  # by fine-tuning: the same

    def add(
        self,
        stage: str,
        metric: str,
        value: float | None,
        *,
        images: int | None = None,
        by_group: ByGroup | None = None,
        **keys: Any,
    ) -> None:
        """Add a row, unless there is no value.

        `images` is how many were judged, and `by_group` how many of them are right in each group, where it is a share.
        """
        if value is not None and not pd.isna(value):
            row = {"dataset": self.run.dataset, "pretrain": self.run.pretrain, "seed": self.run.seed, "stage": stage}
            row |= {**keys, "metric": metric, "value": value}
            if images:
                row["images"] = images
                row["low"], row["high"] = interval(value, images, by_group)
                if by_group:
                    row["groups"], row["by_group"] = len(by_group), by_group
            self.rows.append(row)


def read_run(run: Run, results: Path, columns: Sequence[str] = ()) -> RunResults:
    """Read the existing stages of a run, and of `metadata` these columns.

    Raises
    ------
    UserError
        When there is none, or when a file is damaged.
    """
    folder = results / run.folder
    if not (folder / "pretrain" / "history.csv").exists():
        raise UserError(f"{folder / 'pretrain' / 'history.csv'} does not exist: run pretrain, or fix --results")
    collected = RunResults(run)
    try:
        collected.history = course(run, results)
        _read_pretrain(collected, folder)
        _read_selection(collected, folder)
        _read_evaluation(collected, folder / "evaluate", ("knn", "linear"))
        for name in run.folders_compared:
            _read_compared(collected, results / name)
        if columns:
            _read_metadata(collected, folder, columns)
        for name in run.finetunes:
            _read_finetune(collected, folder, name)
        quality = _read_umap(collected, folder)
        gallery = _read(collected, "galleries", folder / "galleries" / "run.json") or {}
        collected.pictures = _pictures(folder, quality, gallery.get("channels", ""))
    except (KeyError, TypeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(
            f"{folder} contains results from a different version ({error!r}): run its stages again"
        ) from error
    return collected


def _pictures(folder: Path, quality: dict[str, Any], channels: str) -> list[Picture]:
    """Return the pictures of a run; `channels` says in words which of them galleries show, in which colors."""
    pictures = []
    for name in _PICTURES:
        file = folder / name
        if not file.exists():
            continue
        page = file.with_suffix(".html")
        of_layer = quality.get(file.stem, {}) if file.parent.name == "umap" else {}
        sentences = [PICTURES[file.stem].short, *(f"{line}." for line in quality_lines(of_layer))]
        if channels and file.parent.name == "galleries":
            sentences.append(f"Images show {channels}.")
        pictures.append(Picture(file, " ".join(sentences), page if page.exists() else None))
    return pictures


def _read(collected: RunResults, stage: str, path: Path) -> dict[str, Any] | None:
    """Read a JSON file if it exists, and keep the record in it."""
    if not path.exists():
        return None
    content: dict[str, Any] = read_json(path)
    collected.records[stage] = content.get("run", content)
    return content


def _by_group(measured: dict[str, Any], metric: str) -> ByGroup | None:
    """Return what is measured of the groups, if the images have any."""
    counts = measured.get("balanced_by_group" if metric.startswith(_BALANCED) else "by_group")
    return ByGroup(np.array(counts["images"], float), np.array(counts[metric], float)) if counts else None


def _of_share(measured: dict[str, Any], metric: str, images: int | None) -> dict[str, Any]:
    """Return what a share's interval is of: fewer images where classes differ in size but count alike, and groups."""
    count = measured.get("effective_images") if metric.startswith(_BALANCED) else images
    return {"images": count, "by_group": _by_group(measured, metric)}


def _read_pretrain(collected: RunResults, folder: Path) -> None:
    record = _read(collected, "pretrain", folder / "pretrain" / "run.json") or {}
    if "fitted" in record:  # numbers in place of what the settings left to the data
        collected.records["pretrain"] = {**record, "settings": {**record["settings"], **record["fitted"]}}
    history = pd.read_csv(folder / "pretrain" / "history.csv")
    last = history.iloc[-1]
    collected.add("pretrain", "epochs", last["epoch"])
    collected.add("pretrain", "seconds", last["seconds"])
    collected.add("pretrain", "images_per_second", float(history["images_per_second"].median()))
    collected.add("pretrain", "loss", last["loss"], split="train")
    collected.add("pretrain", "loss", record.get("hold_out_loss"), split="validation")


def _read_selection(collected: RunResults, folder: Path) -> None:
    selection = _read(collected, "select", folder / "encoder" / "selection.json")
    if selection:
        chosen = next(row for row in selection["candidates"] if row["file"] == selection["chosen"])
        collected.choice = f"{selection['chosen']} of epoch {selection['epoch']} was chosen: {selection['why']}."
        collected.add("select", "epoch", selection["epoch"])
        collected.add("select", "loss", chosen.get("validate_loss"), split="validation")
        collected.add("select", "knn_accuracy", chosen.get("knn_accuracy"), split="validation")


def _read_compared(collected: RunResults, folder: Path) -> None:
    stage = f"compare {folder.name}"
    _read_evaluation(collected, folder, (stage, stage))
    _check_data(collected, stage, folder)


def _check_data(collected: RunResults, stage: str, folder: Path) -> None:
    """Raise UserError unless the data are those on which the run's own features were judged."""
    measured, own = (collected.records.get(name, {}).get("data_hash") for name in (stage, "knn"))
    if measured and own and measured != own:
        raise UserError(f"{folder} was measured on data other than the run's: run {stage.split()[0]} again")


def _read_evaluation(collected: RunResults, folder: Path, stages: tuple[str, str]) -> None:
    """Read what one input was measured to be worth; its records are kept as those of the stages."""
    knn = _read(collected, stages[0], folder / "knn.json")
    linear = _read(collected, stages[1], folder / "linear.json")
    images = {split: knn[split]["images"] for split in JUDGED if knn and split in knn}  # both judge the same
    for split, count in images.items():
        for metric in ("accuracy", "weighted_accuracy", "balanced_accuracy", "balanced_weighted_accuracy"):
            measured = knn[split]  # type: ignore[index]
            keys = {**_of_share(measured, metric, count), "split": split}
            collected.add("knn", metric, measured.get(metric), **keys, input=knn["input"])  # type: ignore[index]
    correct = folder / "correct.npz"
    if linear and correct.exists():
        collected.correct[linear["input"]] = read_correct(correct)
    for row in linear["results"] if linear else []:
        keys = {key: row[key] for key in ("input", "labels", "draw", "split", *_GROUPED) if key in row}
        keys["series"] = row["input"] if row["input"] in SERIES else "published"
        for metric in ("accuracy", "balanced_accuracy"):
            keys |= _of_share(row, metric, images.get(row["split"]))
            collected.add("linear", metric, row.get(metric), **keys)
    for key in ("probe", "probe_on_views") if linear else ():
        for split, accuracy in (linear.get(key) or {}).items():  # type: ignore[union-attr]
            measured = {"by_group": (linear.get(f"{key}_by_group") or {}).get(split)}  # type: ignore[union-attr]
            for_groups: dict[str, Any] = {"images": images.get(split), "by_group": _by_group(measured, "accuracy")}
            of_probe = {"input": linear["input"], "split": split}  # type: ignore[index]
            collected.add("linear", f"{key}_accuracy", accuracy, **for_groups, **of_probe)
        for split, measured in (linear.get(f"{key}_balanced") or {}).items():  # type: ignore[union-attr]
            keys = {**_of_share(measured, "balanced_accuracy", None), "input": linear["input"], "split": split}  # type: ignore[index]
            collected.add("linear", f"{_BALANCED}{key}_accuracy", measured["balanced_accuracy"], **keys)
    if linear and linear["results"]:
        _read_penalties(collected, linear)
    if linear and linear["note"] and linear["note"] not in collected.notes:
        collected.notes.append(linear["note"])


def _read_metadata(collected: RunResults, folder: Path, columns: Sequence[str]) -> None:
    content = _read(collected, "metadata", folder / "evaluate" / "metadata.json")
    for name in columns if content else ():
        one = content["columns"][name]  # type: ignore[index]
        by_group = _by_group(one, "accuracy")
        collected.add("metadata", "accuracy", one["accuracy"], images=one["images"], by_group=by_group, input=name)
        for metric in ("chance", "chance_most", "shuffled", "least_p"):
            collected.add("metadata", metric, one[metric], input=name)


def _read_penalties(collected: RunResults, linear: dict[str, Any]) -> None:
    """Add the C of each logistic regression, with the split that it was chosen on."""
    split = linear["C_chosen_on"]
    of_budgets = {(row["input"], row.get("budget", row["labels"])): row for row in linear["results"]}
    for row in of_budgets.values():
        keys = {key: row[key] for key in ("input", "labels", "budget") if key in row}
        collected.add("linear", "C", row["C"], split=split, **keys)
    for key in ("probe", "probe_on_views"):
        collected.add("linear", f"{key}_C", linear.get(f"{key}_C"), input=linear["input"], split=split)


def _read_finetune(collected: RunResults, folder: Path, name: str) -> None:
    stage, place = f"finetune {name}", folder / "finetune" / name
    metrics = _read(collected, stage, place / "metrics.json")
    if not metrics:
        return
    _check_data(collected, stage, place)
    if (place / "correct.npz").exists():
        collected.tuned[name] = read_correct(place / "correct.npz")
    predictions = place / "predictions.parquet"
    if predictions.exists():
        collected.confusions[name] = confusion(pd.read_parquet(predictions))
        collected.predictions[name] = predictions
    history = place / "history.csv"
    if history.exists():
        collected.finetune_histories[name] = pd.read_csv(history)
    of_draws = [draw["test"].get("per_class", []) for draw in metrics["draws"] if draw["test"]]
    collected.per_class[name] = [row for rows in of_draws for row in rows]
    series = f"finetune-{metrics['init']}{'-frozen' if metrics['freeze'] else ''}"
    for draw in metrics["draws"]:
        labels = draw.get("label_count", metrics["label_count"])
        keys = {"input": name, "labels": labels, "draw": draw["draw"], "series": series}
        keys |= {key: draw[key] for key in _GROUPED if key in draw}
        collected.add("finetune", "epochs", draw["epochs"], **keys)
        for split in JUDGED:
            measured = draw[split] or {}
            of_parents = measured.get("parents") or {}
            for metric, named in METRICS.items():
                judged = {**_of_share(of_parents, metric, of_parents.get("images")), "split": split}
                collected.add("finetune", named, of_parents.get(metric), **judged, **keys)
            for metric, value in measured.items():
                if isinstance(value, float):  # a confusion matrix and the number of images are not metrics
                    of_images = _of_share(measured, metric, measured["images"]) if metric in _SHARES else {}
                    collected.add("finetune", metric, value, split=split, **of_images, **keys)


def _read_umap(collected: RunResults, folder: Path) -> dict[str, Any]:
    quality = _read(collected, "umap", folder / "umap" / "quality.json") or {}
    for layer in ("backbone", "projection_head") if quality else ():
        for metric, value in quality[layer].items():
            if isinstance(value, float):
                split = collected.records["umap"].get("settings", {}).get("split", "test")
                collected.add("umap", metric, value, input=layer, split=split)
    if quality and quality["backbone"]["note"]:
        collected.notes.append(f"UMAP: {quality['backbone']['note']}")
    return quality
