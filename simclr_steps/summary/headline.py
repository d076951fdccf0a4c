"""The headline of a summary: accuracy by number of labels, for the encoder and for what it must beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from simclr_steps.durations import duration

SERIES = {
    "simclr": "SimCLR features",
    "finetune-pretrained": "fine-tuned",
    "finetune-pretrained-frozen": "frozen, new head",
    "finetune-random": "from scratch",
    "finetune-random-frozen": "random, new head",
    "random": "random features",
    "pixels": "raw pixels",
}
MEANING = {
    "simclr": "logistic regression on the features of the frozen SimCLR encoder",
    "finetune-pretrained": "the whole network trained on the labels, from the SimCLR encoder",
    "finetune-pretrained-frozen": "a head trained on the labels, on the frozen SimCLR encoder",
    "finetune-random": "the same network trained only on the labels, from random weights",
    "finetune-random-frozen": "a head trained on the labels, on the same network with random weights",
    "random": "logistic regression on features of the same network with random weights",
    "pixels": "logistic regression on the pixels",
}

_ON_ALL_LABELS = {  # what is measured of the frozen features, by stage and metric
    "kNN on the frozen features": ("knn", "accuracy"),
    "Linear probe on them": ("linear", "probe_accuracy"),
    "Linear probe on those of random views": ("linear", "probe_on_views_accuracy"),
}


SPREAD = "mean ± standard deviation (of the sample, n - 1) over all draws of labels of all seeds"


@dataclass(frozen=True)
class Headline:
    """One data set and pretraining, over its seeds and draws."""

    dataset: str
    pretrain: str
    split: str  # the test split, or the hold-out where the test split has no labels
    accuracy: pd.DataFrame  # series, name, labels, mean, sd (NaN of one value), count; shares of 1
    hold_out: pd.DataFrame  # the same on the hold-out, where the split is another
    measures: list[str]  # sentences about the frozen features with all labels
    penalty: str  # a sentence about the logistic regressions, empty without any
    cost: str  # a sentence about the pretraining

    @property
    def title(self) -> str:
        """Name the data set and the pretraining."""
        return f"{self.dataset}, {self.pretrain}"

    def names(self) -> list[str]:
        """Return the names of the series, in a fixed order."""
        return list(dict.fromkeys(self.accuracy.sort_values("order", kind="stable")["name"]))

    def meanings(self) -> list[str]:
        """Return one line for each series that says what it is."""
        series = dict(zip(self.accuracy["name"], self.accuracy["series"], strict=True))
        return [f"{name}: {MEANING[series[name]]}" for name in self.names()]

    def cells(self, *, counted: bool = False) -> list[list[str]]:
        """Return the table: a header, then a row for each number of labels; counted, with the number of values."""
        return self._cells(self.accuracy, counted=counted)

    def hold_out_cells(self) -> list[list[str]]:
        """Return the table of the hold-out, with the number of values."""
        return self._cells(self.hold_out, counted=True)

    def _cells(self, accuracy: pd.DataFrame, *, counted: bool) -> list[list[str]]:
        names = [name for name in self.names() if name in set(accuracy["name"])]
        table = [["labels", *names]]
        for labels, group in accuracy.groupby("labels"):
            by_name = group.set_index("name")
            row = [f"{labels:,}"]
            for name in names:
                values: Any = by_name.loc[name] if name in by_name.index else None
                cell = "" if values is None else percent(values["mean"], values["sd"])
                row.append(f"{cell} ({values['count']})" if cell and counted and values["count"] > 1 else cell)
            table.append(row)
        return table


def shown_split(rows: pd.DataFrame) -> str:
    """Return the split whose accuracies are shown: the test split, or the hold-out where that has no labels."""
    return "test" if ((rows["metric"] == "accuracy") & (rows["split"] == "test")).any() else "validation"


def headline(rows: pd.DataFrame) -> Headline:
    """Summarize the tidy rows of one data set and pretraining."""
    dataset, pretrain = rows[["dataset", "pretrain"]].iloc[0]
    accuracies = rows[(rows["metric"] == "accuracy")]
    split = shown_split(rows)
    shown = _means(accuracies[accuracies["split"] == split])
    hold_out = _means(accuracies[(accuracies["split"] == "validation") & (split == "test")])
    return Headline(dataset, pretrain, split, shown, hold_out, _measures(rows, split), _penalty(rows), _cost(rows))


def _means(accuracies: pd.DataFrame) -> pd.DataFrame:
    groups = _named(accuracies[accuracies["series"].notna()]).groupby(["series", "name", "labels"])["value"]
    table = groups.agg(mean="mean", sd="std", count="count").reset_index()
    return table.assign(order=table["series"].map(list(SERIES).index))


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the name of each row's series, with its block's name where two fine-tunings differ in more than labels."""
    blocks = rows.groupby(["series", "labels"])["input"].transform("nunique")
    several = set(rows.loc[blocks > 1, "series"])
    name = rows["series"].map(SERIES)
    return rows.assign(name=name.where(~rows["series"].isin(several), name + " (" + rows["input"].astype(str) + ")"))


def _measures(rows: pd.DataFrame, split: str) -> list[str]:
    """Say what kNN and linear probes measure."""
    sentences = []
    for what, (stage, metric) in _ON_ALL_LABELS.items():
        asked = (rows["stage"] == stage) & (rows["metric"] == metric) & (rows["split"] == split)
        values = rows[asked]["value"]
        if len(values):
            sentences.append(f"{what}, all labels: {percent(values.mean(), values.std())} %{_over_seeds(rows)}.")
    return sentences


def _penalty(rows: pd.DataFrame) -> str:
    """Say how the penalty of the logistic regressions was chosen."""
    chosen_on = set(rows[rows["metric"] == "C"]["split"])
    if not chosen_on:
        return ""
    how = (
        "on the hold-out"
        if "validation" in chosen_on
        else "by 5-fold cross-validation (where a class has a single label, it is the middle one)"
    )
    return (
        f"The penalty of every logistic regression and linear probe was chosen among five values {how}, once for each "
        "input and number of labels with the first draw, and used for all draws."
    )


def _cost(rows: pd.DataFrame) -> str:
    pretrain = rows[rows["stage"] == "pretrain"].groupby("metric")["value"].mean()
    speed = f"{pretrain['images_per_second']:,.0f} images/s"
    took = duration(pretrain["seconds"])
    return f"Pretraining: {pretrain['epochs']:g} epochs in {took}, {speed}{_over_seeds(rows)}."


def _over_seeds(rows: pd.DataFrame) -> str:
    seeds = rows["seed"].nunique()
    return f", mean of {seeds} seeds" if seeds > 1 else ""


def percent(mean: float, sd: float) -> str:
    """Return a mean and its standard deviation, if there is one, in %."""
    return f"{100 * mean:.1f}" if pd.isna(sd) else f"{100 * mean:.1f} ± {100 * sd:.1f}"


def as_markdown(headlines: Sequence[Headline], notes: Sequence[str]) -> str:
    """Return a page that reads well as it is in a terminal."""
    parts = []
    for one in headlines:
        parts.append(f"## {one.title}\n")
        if len(one.accuracy):
            parts.append(f"Accuracy on the {one.split} split in %, {SPREAD}\n")
            parts.append(_aligned(one.cells()))
        else:
            parts.append("Accuracy was not measured: it requires labels.\n")
        sentences = filter(None, [*one.measures, one.penalty, one.cost])
        parts.append("\n".join(f"- {sentence}" for sentence in sentences) + "\n")
    meanings = dict.fromkeys(line for one in headlines for line in one.meanings())
    if meanings:
        parts.append("What the columns are\n")
        parts.append("\n".join(f"- {line}" for line in meanings) + "\n")
    if notes:
        parts.append("Notes\n")
        parts.append("\n".join(f"- {note}" for note in notes) + "\n")
    return "# Summary\n\n" + "\n".join(parts)


def _aligned(table: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = [
        "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in table
    ]
    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def group(rows: pd.DataFrame) -> list[Headline]:
    """Return the headline of each data set and pretraining, in the order in which they come."""
    grouped: Any = rows.groupby(["dataset", "pretrain"], sort=False)
    return [headline(of_one) for _, of_one in grouped]
