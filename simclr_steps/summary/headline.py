"""The headline of a summary: accuracy by number of labels, for the encoder and for what it must beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from simclr_steps.durations import duration, per_second
from simclr_steps.summary.budgets import budgets, in_order, written
from simclr_steps.summary.intervals import Spread, of_seeds_and_draws, spread_of
from simclr_steps.summary.parents import sentences as per_image

SERIES = {
    "simclr": "SimCLR features",
    "finetune-pretrained": "fine-tuned",
    "finetune-pretrained-frozen": "frozen, new head",
    "finetune-random": "from scratch",
    "finetune-random-frozen": "random, new head",
    "random": "random features",
    "pixels": "raw pixels",
    "start": "features before training",
    "published": "off the shelf",
    "finetune-published": "published, fine-tuned",
    "finetune-published-frozen": "published, new head",
}
MEANING = {
    "simclr": "logistic regression on the features of the frozen SimCLR encoder",
    "finetune-pretrained": "the whole network trained on the labels, from the SimCLR encoder",
    "finetune-pretrained-frozen": "a head trained on the labels, on the frozen SimCLR encoder",
    "finetune-random": "the same network trained only on the labels, from random weights",
    "finetune-random-frozen": "a head trained on the labels, on the same network with random weights",
    "random": "logistic regression on features of the same network with random weights",
    "pixels": "logistic regression on the pixels",
    "start": "logistic regression on the features of the given weights, before any training here",
    "published": "logistic regression on the features of this encoder off the shelf, which was not trained further",
    "finetune-published": "the same network trained on the labels, from published weights",
    "finetune-published-frozen": "a head trained on the labels, on the same network with published weights, frozen",
}

_ON_ALL_LABELS = {  # what is measured of the frozen features, by stage and metric
    "kNN on the frozen features": ("knn", "accuracy"),
    "Linear probe on the frozen features": ("linear", "probe_accuracy"),
    "Linear probe on the features of random views": ("linear", "probe_on_views_accuracy"),
}


DEVIATION = "mean ± sample standard deviation (n - 1) over all label draws of all seeds"
SPREAD = f"{DEVIATION}; in brackets, the 95 % Wilson interval for the number of images judged"
SPREAD_OF_GROUPS = (
    f"{DEVIATION}; in brackets, the 95 % interval for the number of groups judged, as images of one group are alike "
    "(bootstrap over whole groups; Wilson if there are fewer than 5)"
)

APART = (
    "Sources of the deviation, in percentage points: between seeds, averaged over label draws / between label draws, "
    "averaged over seeds"
)

BALANCED = (
    "Balanced accuracy, the mean over classes of the share that is right, in %; without groups, its interval is that "
    "of as many images as a balanced set that tells as much"
)

_BUDGET = ("series", "name", "budget", "labels", "label_groups")
_SPREAD = tuple(field.name for field in fields(Spread))


@dataclass(frozen=True)
class Headline:
    """One data set and pretraining, over its seeds and draws."""

    dataset: str
    pretrain: str
    split: str  # the test split, or the hold-out where the test split has no labels
    images: int | None  # judged in that split
    groups: int | None  # that these are of; None where images have no groups
    accuracy: pd.DataFrame  # series, name, budget, labels, label_groups (means), and what a Spread holds
    hold_out: pd.DataFrame  # the same on the hold-out, where the split is another
    balanced: pd.DataFrame  # the same of the balanced accuracy, where the rows have it
    apart: pd.DataFrame  # the same with the deviations over `seeds` and over `draws`, where there are several of both
    measures: list[str]  # sentences about the frozen features with all labels
    parents: list[str]  # sentences about images that were cut into tiles
    penalty: str  # a sentence about the logistic regressions, empty without any
    cost: str  # a sentence about the pretraining

    @property
    def title(self) -> str:
        """Name the data set and the pretraining."""
        return f"{self.dataset}, {self.pretrain}"

    @property
    def judged(self) -> str:
        """Say how many images and groups the split has: " of 360 images", or nothing where that is unknown."""
        groups = f" from {self.groups:,} group{'s' * (self.groups != 1)}" if self.groups else ""
        return f" of {self.images:,} image{'s' * (self.images != 1)}{groups}" if self.images else ""

    @property
    def spread(self) -> str:
        """Say what the numbers are."""
        return SPREAD_OF_GROUPS if self.groups else SPREAD

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

    def balanced_cells(self, *, counted: bool = False) -> list[list[str]]:
        """Return the table of the balanced accuracy."""
        return self._cells(self.balanced, counted=counted)

    def apart_cells(self) -> list[list[str]]:
        """Return the table of the deviations in points, over seeds / over draws of labels."""

        def cell(values: Any) -> str:
            return f"{100 * values['seeds']:.1f} / {100 * values['draws']:.1f}"

        return self._table(self.apart, cell)

    def _cells(self, accuracy: pd.DataFrame, *, counted: bool) -> list[list[str]]:
        def cell(values: Any) -> str:
            spread = Spread(*(values[field] for field in _SPREAD))
            return spread.counted() if counted else str(spread)

        return self._table(accuracy, cell)

    def _table(self, accuracy: pd.DataFrame, cell: Callable[[Any], str]) -> list[list[str]]:
        names = [name for name in self.names() if name in set(accuracy["name"])]
        table = [["labels", *names]]
        for budget in in_order(accuracy):
            group = accuracy[budgets(accuracy) == budget]
            by_name = group.set_index("name")
            table.append([written(group), *(cell(by_name.loc[n]) if n in by_name.index else "" for n in names)])
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
    balanced = _means(rows[(rows["metric"] == "balanced_accuracy") & (rows["split"] == split)])
    every = spread_of(accuracies[accuracies["split"] == split]) if len(accuracies) else None
    images = every.images if every else None
    groups = len(every.by_group) if every and every.by_group else None
    apart = shown[shown[["seeds", "draws"]].notna().all(axis=1)]
    sentences = _measures(rows, split), per_image(rows, split), _penalty(rows), _cost(rows)
    return Headline(dataset, pretrain, split, images, groups, shown, hold_out, balanced, apart, *sentences)


def _means(accuracies: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each series and budget of labels."""
    rows = []
    of_series = named(accuracies[accuracies["series"].notna()])
    for (series, name, _), group in of_series.groupby(["series", "name", budgets(of_series)]):
        seeds, draws = of_seeds_and_draws(group)
        numbers = {column: group[column].astype(float).mean() for column in ("labels", "label_groups")}
        budget = {"series": series, "name": name, "budget": group["budget"].iloc[0], **numbers}
        rows.append({**budget, **vars(spread_of(group)), "seeds": seeds, "draws": draws})
    table = pd.DataFrame(rows, columns=[*_BUDGET, *_SPREAD, "seeds", "draws"])
    return table.assign(order=table["series"].map(list(SERIES).index)).sort_values("labels", kind="stable")


def named(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the name of each row's series, with its block's name where two fine-tunings differ in more than labels.

    What is off the shelf has a name of its own.
    """
    blocks = rows.groupby(["series", budgets(rows)])["input"].nunique()
    several = set(blocks[blocks > 1].index.get_level_values("series")) - {"published"}
    name = rows["series"].map(SERIES).where(rows["series"] != "published", rows["input"])
    return rows.assign(name=name.where(~rows["series"].isin(several), name + " (" + rows["input"].astype(str) + ")"))


def _measures(rows: pd.DataFrame, split: str) -> list[str]:
    """Say what kNN and linear probes measure."""
    sentences = []
    for what, (stage, metric) in _ON_ALL_LABELS.items():
        measured = (rows["stage"] == stage) & (rows["metric"] == metric) & (rows["input"] == "simclr")
        asked = measured & (rows["split"] == split)
        if asked.any():
            sentences.append(f"{what}, all labels, in %: {spread_of(rows[asked])}{_over_seeds(rows)}.")
    return sentences


def _penalty(rows: pd.DataFrame) -> str:
    """Say how the penalty of the logistic regressions was chosen."""
    chosen_on = set(rows[rows["metric"] == "C"]["split"])
    if not chosen_on:
        return ""
    has_groups = rows["label_groups"].notna().any()
    whole, single = (" over whole groups", " or group") if has_groups else ("", "")
    how = (
        "on the hold-out"
        if "validation" in chosen_on
        else f"by 5-fold cross-validation{whole} (or is the middle one if a class has a single label{single})"
    )
    return (
        f"The penalty of every logistic regression and linear probe was chosen from seven values {how}, once per "
        "input and number of labels on the first draw, and used for all draws."
    )


def _cost(rows: pd.DataFrame) -> str:
    pretrain = rows[rows["stage"] == "pretrain"].groupby("metric")["value"].mean()
    speed = f"{per_second(pretrain['images_per_second'])} images/s"
    took = duration(pretrain["seconds"])
    epochs = "1 epoch" if pretrain["epochs"] == 1 else f"{pretrain['epochs']:g} epochs"
    return f"Pretraining: {epochs} in {took}, {speed}{_over_seeds(rows)}."


def _over_seeds(rows: pd.DataFrame) -> str:
    seeds = rows["seed"].nunique()
    return f", mean of {seeds} seeds" if seeds > 1 else ""


def group(rows: pd.DataFrame) -> list[Headline]:
    """Return the headline of each data set and pretraining, in the order in which they come."""
    grouped: Any = rows.groupby(["dataset", "pretrain"], sort=False)
    return [headline(of_one) for _, of_one in grouped]
