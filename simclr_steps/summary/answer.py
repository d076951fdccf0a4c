"""What a pretraining is worth, in a few sentences: beside what comes for free, with one number of labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from simclr_steps.summary.budgets import written
from simclr_steps.summary.compared import Apart, apart, beside, budget_of, other_size, tuned, tuned_beside_frozen
from simclr_steps.summary.headline import SERIES, Headline
from simclr_steps.summary.intervals import interval
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.tables import SPLIT_NAMES

_UNMEASURED = "Accuracy was not measured: it requires labels in the train split and in the test split or the hold-out."


@dataclass(frozen=True)
class Answer:
    """Sentences on one data set and pretraining, the one that matters most first."""

    title: str
    sentences: list[str]


def answers(headlines: Sequence[Headline], runs: Sequence[RunResults]) -> list[Answer]:
    """Return what each headline comes to."""
    found = []
    for one in headlines:
        of_one = [run for run in runs if (run.run.dataset, run.run.pretrain) == (one.dataset, one.pretrain)]
        found.append(Answer(one.title, list(_of_labels(one, of_one) if len(one.accuracy) else _of_features(of_one))))
    return found


def _of_labels(one: Headline, runs: Sequence[RunResults]) -> Iterator[str]:
    """Say how good classifiers are with the middle one of the numbers of labels, and with the most."""
    ours = one.accuracy[one.accuracy["series"] == "simclr"].to_dict("records")
    row = ours[(len(ours) - 1) // 2] if ours else None
    if row:
        yield from _of_frozen(one, row, runs)
    for name, told in _fine_tuned(one).items():
        yield _of_fine_tuned(one, name, told, runs)
        yield from _gained_by_tuning(name, told, runs)
    if ours and ours[-1] is not row:
        yield f"With {_labels(ours[-1])} labels, the most tried, SimCLR features reach {_accuracy(ours[-1])}."
    if not ours:
        yield from one.measures


def _of_frozen(one: Headline, row: Mapping[Any, Any], runs: Sequence[RunResults]) -> Iterator[str]:
    """Say what SimCLR features are worth with the labels of a row, beside the best that comes for free of each kind."""
    others = one.accuracy[one.accuracy["series"].isin(["random", "pixels", "start", "published"])]
    here = [other for other in others.to_dict("records") if budget_of(other) == budget_of(row)]
    here.sort(key=lambda other: -other["mean"])
    local = [other for other in here if other["series"] != "published"]
    balanced = one.balanced[(one.balanced["series"] == "simclr")].to_dict("records")
    of_classes = [f", balanced {100 * own['mean']:.1f} %" for own in balanced if budget_of(own) == budget_of(row)]
    begin = f"With {_labels(row)} labels, SimCLR features reach an accuracy of {_accuracy(row)}"
    begin += f" on the {SPLIT_NAMES[one.split]} split{''.join(of_classes)}"
    needed = _needed(row, local[0], others, _apart(runs, local[0], row)) if local else ""
    yield f"{begin}; {needed}." if needed else f"{begin}."
    told = [*(local[1:] if needed else local), *[other for other in here if other["series"] == "published"][:1]]
    for other in told:
        if difference := _apart(runs, other, row):
            size = other_size(runs, other["name"])
            beside_it = f"; {other['name']} {size}" if size else ""
            yield f"SimCLR features are {_points(other['name'], difference)}{beside_it}."


def _apart(runs: Sequence[RunResults], other: Mapping[Any, Any], row: Mapping[Any, Any]) -> Apart | None:
    name = other["name"] if other["series"] == "published" else other["series"]
    return apart(beside(runs, name), budget_of(row))


def _needed(row: Mapping[Any, Any], other: Mapping[Any, Any], table: pd.DataFrame, difference: Apart | None) -> str:
    """Say how many labels another input needs for the same accuracy, nothing where SimCLR is not clearly better.

    In brackets it is as many as the ends of the paired interval ask for, from the images that were judged.
    """
    if not difference or not difference.interval or difference.interval[0] <= 0:
        return ""
    curve = table[(table["name"] == other["name"]) & (table["labels"] >= other["labels"])].sort_values("labels")
    labels, accuracy = curve["labels"].astype(float).tolist(), curve["mean"].tolist()
    name, most = other["name"], f"{labels[-1]:,.0f}"
    wanted = [other["mean"] + gain for gain in (difference.mean, *difference.interval)]
    needed, fewest, largest = (labels_for(target, labels, accuracy) for target in wanted)
    if needed is None:
        return f"{name} have {100 * other['mean']:.1f} % and do not reach that with up to {most} labels, the most tried"
    ends = f"{fewest:,.0f} to {largest:,.0f}" if largest else f"{fewest:,.0f} to more than {most}"
    times = f"{needed / row['labels']:.1f}".removesuffix(".0")
    return f"{name} need about {needed:,.0f} labels for that ({ends}): {times} times as many"


def labels_for(target: float, labels: Sequence[float], accuracy: Sequence[float]) -> float | None:
    """Return with how many labels a curve reaches an accuracy, by the logarithm of the labels between measured points.

    None where none of them does; where the first one does, it is the first, as nothing is known below it.
    """
    for number, (count, value) in enumerate(zip(labels, accuracy, strict=True)):
        if value >= target:
            if number == 0:
                return count
            before, low = labels[number - 1], accuracy[number - 1]
            return before * math.exp((target - low) / (value - low) * math.log(count / before))
    return None


def _points(name: str, difference: Apart) -> str:
    """Return "3.1 points better than raw pixels (2.2 to 4.0)"."""
    points = f"{100 * difference.mean:+z.1f} points"
    if difference.interval is None:
        return f"{points} beside {name}, too few {difference.units} to tell"
    low, high = (100 * end for end in difference.interval)
    if low > 0:
        return f"{100 * difference.mean:.1f} points better than {name} ({low:.1f} to {high:.1f})"
    if high < 0:
        return f"{-100 * difference.mean:.1f} points worse than {name} ({-high:.1f} to {-low:.1f})"
    found = "no better than" if name in (SERIES["random"], SERIES["start"]) else "not clearly different from"
    return f"{found} {name}, {points} ({low:+z.1f} to {high:+z.1f})"


def _fine_tuned(one: Headline) -> dict[str, Mapping[Any, Any]]:
    """Return the middle number of labels of the first fine-tuning from SimCLR, by its name."""
    rows = one.accuracy[one.accuracy["series"] == "finetune-pretrained"]
    if rows.empty:
        return {}
    name = one.names()[min(one.names().index(each) for each in set(rows["name"]))]
    of_name = rows[rows["name"] == name].to_dict("records")
    return {str(name): of_name[(len(of_name) - 1) // 2]}


def _of_fine_tuned(one: Headline, name: str, row: Mapping[Any, Any], runs: Sequence[RunResults]) -> str:
    begin = f"{name[0].upper()}{name[1:]} on {_labels(row)} labels, the network reaches {_accuracy(row)}"
    for (own, other), pairs in tuned(runs).items():
        if own == name and (difference := apart(pairs, budget_of(row))):
            named = f'"{other}"'
            return f"{begin}: {_points(named, difference)}."
    return f"{begin}."


def _gained_by_tuning(name: str, row: Mapping[Any, Any], runs: Sequence[RunResults]) -> Iterator[str]:
    """Say so where fine-tuning ends clearly below the frozen features, and what to try."""
    difference = apart(tuned_beside_frozen(runs).get(name, []), budget_of(row))
    if difference and difference.interval and difference.interval[1] < 0:
        beside_them = _points("frozen SimCLR features", difference)
        yield (
            f"Fine-tuning gains nothing here: on the same labels it is {beside_them}. Try a head alone (freeze: true "
            "under finetunes), and compare the two on the hold-out."
        )


def _labels(row: Mapping[Any, Any]) -> str:
    return written(pd.DataFrame([row]))


def _accuracy(row: Mapping[Any, Any]) -> str:
    """Return "88.6 % (84.9 to 91.5)", with the interval that the judged images or groups leave."""
    text = f"{100 * row['mean']:.1f} %"
    if pd.isna(row["images"]) or not row["images"]:
        return text
    low, high = interval(row["mean"], int(row["images"]), row["by_group"])
    return f"{text} ({100 * low:.1f} to {100 * high:.1f})"


def _of_features(runs: Sequence[RunResults]) -> Iterator[str]:
    """Say what is known of features, neighbors and clusters without labels."""
    ranks = [run.history["validate_rankme"].dropna() for run in runs if "validate_rankme" in run.history]
    ranks = [rank for rank in ranks if len(rank)]
    if ranks:
        first, last = (sum(float(rank.iloc[end]) for rank in ranks) / len(ranks) for end in (0, -1))
        began = f", and {first:.1f} when first measured" if any(len(rank) > 1 for rank in ranks) else ""
        yield f"Features: they use {last:.1f} directions at the end of the training (effective rank){began}."
    kept = [
        row["value"]
        for run in runs
        for row in run.rows
        if (row["stage"], row["metric"], row.get("input")) == ("umap", "trustworthiness", "backbone")
    ]
    if kept:
        mean = sum(kept) / len(kept)
        yield f"Neighbors: the UMAP plot keeps those of the features, trustworthiness {mean:.2f} (1 is best)."
    for run in runs[:1]:
        if run.explored_in_words:
            yield f"Clusters: {run.explored_in_words}"
    yield _UNMEASURED
