"""Reads the folders of one run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from simclr_steps.data.correct import read_correct
from simclr_steps.figures.points import quality_lines
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.judged import splits_judged
from simclr_steps.settings.runs import Run
from simclr_steps.summary.captions import PICTURES
from simclr_steps.summary.courses import course
from simclr_steps.summary.explored import in_words
from simclr_steps.summary.finetunings import read_finetuning
from simclr_steps.summary.headline import SERIES
from simclr_steps.summary.run_results import BALANCED, GROUPED, Picture, RunResults, groups_of, of_share

_PICTURES = (
    *("galleries/augmentation.png", "galleries/neighbors.png"),
    *("umap/backbone.png", "umap/projection_head.png", "umap/metadata.png"),
)


def read_run(
    run: Run, results: Path, columns: Sequence[str] = (), *, explored: bool = False, galleries: bool = True
) -> RunResults:
    """Read the existing stages of a run, of `metadata` these columns, and of `explore` if it is asked for.

    Without `galleries`, the pictures of the run are those that hold no image of the data.

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
        for name, place in run.classifiers.items():
            read_finetuning(collected, results / place, name)
        quality = _read_umap(collected, folder)
        if explored:
            collected.explored = collected.read("explore", folder / "explore" / "explore.json")
            if collected.explored:
                collected.explored_in_words = in_words(collected.explored)
            collected.explored_page = folder / "explore" / "explore.html"
        gallery = collected.read("galleries", folder / "galleries" / "run.json") or {}
        pictures = _pictures(folder, quality, gallery.get("channels", ""))
        collected.pictures = [one for one in pictures if galleries or one.file.parent.name != "galleries"]
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
        page = file.parent / "map.html"
        of_layer = quality.get(file.stem, {}) if file.parent.name == "umap" else {}
        sentences = [PICTURES[file.stem].short, *(f"{line}." for line in quality_lines(of_layer))]
        if channels and file.parent.name == "galleries":
            sentences.append(f"Images show {channels}.")
        pictures.append(Picture(file, " ".join(sentences), page if page.exists() else None))
    return pictures


def _read_pretrain(collected: RunResults, folder: Path) -> None:
    record = collected.read("pretrain", folder / "pretrain" / "run.json") or {}
    collected.keep_size("simclr", record)
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
    selection = collected.read("select", folder / "encoder" / "selection.json")
    if selection:
        chosen = next(row for row in selection["candidates"] if row["file"] == selection["chosen"])
        collected.choice = f"{selection['chosen']} of epoch {selection['epoch']} was chosen: {selection['why']}."
        collected.add("select", "epoch", selection["epoch"])
        collected.add("select", "loss", chosen.get("validate_loss"), split="validation")
        judged = of_share(chosen, "knn_accuracy", chosen.get("images"))
        collected.add("select", "knn_accuracy", chosen.get("knn_accuracy"), split="validation", **judged)


def _read_compared(collected: RunResults, folder: Path) -> None:
    stage = f"compare {folder.name}"
    _read_evaluation(collected, folder, (stage, stage))
    collected.check_data(stage, folder)


def _read_evaluation(collected: RunResults, folder: Path, stages: tuple[str, str]) -> None:
    """Read what one input was measured to be worth; its records are kept as those of the stages.

    What runs share may have been measured on the test split, too, which a run judged by the hold-out leaves out.
    """
    knn = collected.read(stages[0], folder / "knn.json")
    linear = collected.read(stages[1], folder / "linear.json")
    collected.keep_size((knn or {}).get("input", ""), knn)
    judged = splits_judged(collected.run.judged_by)
    images = {split: knn[split]["images"] for split in judged if knn and split in knn}  # both judge the same
    for split, count in images.items():
        for metric in ("accuracy", "weighted_accuracy", "balanced_accuracy", "balanced_weighted_accuracy"):
            measured = knn[split]  # type: ignore[index]
            keys = {**of_share(measured, metric, count), "split": split}
            collected.add("knn", metric, measured.get(metric), **keys, input=knn["input"])  # type: ignore[index]
    correct = folder / "correct.npz"
    if linear and correct.exists() and collected.shows(knn or {}):
        collected.correct[linear["input"]] = read_correct(correct)
    for row in linear["results"] if linear else []:
        if row["split"] not in judged:
            continue
        keys = {key: row[key] for key in ("input", "labels", "draw", "split", *GROUPED) if key in row}
        keys["series"] = row["input"] if row["input"] in SERIES else "published"
        for metric in ("accuracy", "balanced_accuracy"):
            keys |= of_share(row, metric, images.get(row["split"]))
            collected.add("linear", metric, row.get(metric), **keys)
    for key in ("probe", "probe_on_views") if linear else ():
        of_splits: tuple[dict[str, Any], ...] = tuple(
            {split: value for split, value in (linear.get(name) or {}).items() if split in judged}  # type: ignore[union-attr]
            for name in (key, f"{key}_balanced")
        )
        for split, accuracy in of_splits[0].items():
            measured = {"by_group": (linear.get(f"{key}_by_group") or {}).get(split)}  # type: ignore[union-attr]
            for_groups: dict[str, Any] = {"images": images.get(split), "by_group": groups_of(measured, "accuracy")}
            of_probe = {"input": linear["input"], "split": split}  # type: ignore[index]
            collected.add("linear", f"{key}_accuracy", accuracy, **for_groups, **of_probe)
        for split, measured in of_splits[1].items():
            keys = {**of_share(measured, "balanced_accuracy", None), "input": linear["input"], "split": split}  # type: ignore[index]
            collected.add("linear", f"{BALANCED}{key}_accuracy", measured["balanced_accuracy"], **keys)
    if linear and linear["results"]:
        _read_penalties(collected, linear)
    # Without labels there is a note, too, that accuracy was not measured: it is the answer of the page.
    if linear and linear["note"] and linear["results"] and linear["note"] not in collected.notes:
        collected.notes.append(linear["note"])


def _read_metadata(collected: RunResults, folder: Path, columns: Sequence[str]) -> None:
    content = collected.read("metadata", folder / "evaluate" / "metadata.json")
    for name in columns if content else ():
        one = content["columns"][name]  # type: ignore[index]
        by_group = groups_of(one, "accuracy")
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


def _read_umap(collected: RunResults, folder: Path) -> dict[str, Any]:
    quality = collected.read("umap", folder / "umap" / "quality.json") or {}
    for layer in ("backbone", "projection_head") if quality else ():
        of_layer = quality[layer]
        for metric, value in of_layer.items():
            if isinstance(value, float):
                split = collected.records["umap"].get("settings", {}).get("split", "test")
                judged = of_share(of_layer, metric, of_layer.get("images")) if "accuracy" in metric else {}
                collected.add("umap", metric, value, input=layer, split=split, **judged)
    if quality and quality["backbone"]["note"]:
        collected.notes.append(f"UMAP: {quality['backbone']['note']}")
    return quality
