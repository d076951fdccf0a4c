"""The tables of a summary: means over draws and seeds, from the tidy rows of summary.csv."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from simclr_steps.summary.budgets import budgets, in_order, written
from simclr_steps.summary.headline import SERIES, shown_split
from simclr_steps.summary.intervals import spread_of
from simclr_steps.summary.parents import METRICS as PER_IMAGE

Table = list[list[str]]  # a header and rows

SPLIT_NAMES = {"test": "test", "validation": "hold-out"}
_FROZEN = {
    ("knn", "accuracy"): "kNN",
    ("knn", "weighted_accuracy"): "weighted kNN",
    ("linear", "probe_accuracy"): "linear probe",
    ("linear", "probe_on_views_accuracy"): "linear probe on random views",
    ("knn", "balanced_accuracy"): "kNN, balanced",
    ("knn", "balanced_weighted_accuracy"): "weighted kNN, balanced",
    ("linear", "balanced_probe_accuracy"): "linear probe, balanced",
    ("linear", "balanced_probe_on_views_accuracy"): "linear probe on random views, balanced",
}
_FINETUNED = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    PER_IMAGE["accuracy"]: "accuracy per image",
    PER_IMAGE["balanced_accuracy"]: "balanced accuracy per image",
    "top_5_accuracy": "top-5",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "calibration_error": "calibration error",
    "calibrated_error": "with temperature",
}
_WORST = 5  # classes


def frozen(rows: pd.DataFrame) -> Table:
    """Return what is measured with all labels, on the test split and on the hold-out: a column for each input."""
    judged = rows[rows["stage"] == "knn"]["input"].unique()
    inputs = {name: SERIES.get(name, name) for name in [*SERIES, *judged] if name in judged}
    table = [["measured by", "split", *inputs.values()]]
    for (stage, metric), name in _FROZEN.items():
        measured = rows[(rows["stage"] == stage) & (rows["metric"] == metric)]
        for split, shown in SPLIT_NAMES.items():
            of_split = measured[measured["split"] == split]
            if len(of_split):
                table.append([name, shown, *(_cell(of_split[of_split["input"] == one]) for one in inputs)])
    return table if len(table) > 1 else []


def finetuned(rows: pd.DataFrame) -> Table:
    """Return the metrics of each fine-tuning, on the test split and on the hold-out."""
    of_stage = rows[rows["stage"] == "finetune"]
    metrics = [metric for metric in _FINETUNED if (of_stage["metric"] == metric).any()]
    table = [["fine-tuning", "labels", "epochs", "split", "images", *(_FINETUNED[metric] for metric in metrics)]]
    for (name, _), of_one in of_stage.groupby(["input", budgets(of_stage)], sort=False):
        epochs = sorted(set(of_one[of_one["metric"] == "epochs"]["value"]))
        trained = " to ".join(f"{epochs[end]:,g}" for end in sorted({0, len(epochs) - 1}))
        for split, shown in SPLIT_NAMES.items():
            here = of_one[of_one["split"] == split]
            if len(here):
                cells = [_cell(here[here["metric"] == metric]) for metric in metrics]
                judged = here[here["metric"] == "accuracy"]["images"].max()
                count = "" if pd.isna(judged) else f"{int(judged):,}"
                table.append([str(name), written(of_one), trained, shown, count, *cells])
    return table if len(table) > 1 else []


def comparison(rows: pd.DataFrame) -> Table:
    """Return the accuracies of all pretrainings on one data set, a row for each; nothing for a single one."""
    names = list(dict.fromkeys(rows["pretrain"]))
    here = rows[rows["split"] == shown_split(rows)]
    of_simclr = here["input"] == "simclr"
    columns = {
        name: of_simclr & (here["stage"] == key[0]) & (here["metric"] == key[1]) for key, name in _FROZEN.items()
    }
    accuracy, balanced = here["metric"] == "accuracy", here["metric"] == "balanced_accuracy"
    for budget in in_order(here[of_simclr]):
        chosen = of_simclr & (budgets(here) == budget)
        columns[f"{written(here[chosen])} labels"] = chosen & accuracy
        columns[f"{written(here[chosen])} labels, balanced"] = chosen & balanced
    for name in dict.fromkeys(here[here["stage"] == "finetune"]["input"]):
        tuned = (here["stage"] == "finetune") & (here["input"] == name)
        columns[f"fine-tuned: {name}"] = tuned & accuracy
        columns[f"fine-tuned: {name}, balanced"] = tuned & balanced
    columns = {name: chosen for name, chosen in columns.items() if chosen.any()}
    if len(names) < 2 or not columns:
        return []
    of_name = {name: here["pretrain"] == name for name in names}
    cells = [[name, *(_cell(here[chosen & of_name[name]]) for chosen in columns.values())] for name in names]
    return [["pretraining", *columns], *cells]


def worst_classes(per_class: Mapping[str, Iterable[dict[str, Any]]]) -> Table:
    """Return the classes of least F1 of each fine-tuning, mean over the rows of all draws and seeds."""
    table: Table = []
    for name, rows in per_class.items():
        scores = pd.DataFrame(rows, columns=["class", "f1"]).dropna()
        worst = scores.groupby("class", sort=False)["f1"].mean().sort_values(kind="stable").head(_WORST)
        if len(worst):
            table.append([name, *(f"{label}: {100 * score:.1f}" for label, score in worst.items())])
    width = max(map(len, table), default=0)
    header = ["fine-tuning", "worst", *(f"{number}." for number in range(2, width))]
    return [header, *([*row, *[""] * (width - len(row))] for row in table)] if table else []


def _cell(rows: pd.DataFrame) -> str:
    """Return mean, deviation, interval and number of values of rows of one measure."""
    return spread_of(rows).counted() if len(rows) else ""
