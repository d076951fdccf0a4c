"""What SimCLR is compared with, and by how much it is better."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simclr_steps.data.correct import Correct
from simclr_steps.summary.budgets import budgets, in_order, written
from simclr_steps.summary.headline import SERIES, Headline, named
from simclr_steps.summary.notes import Note, Weight
from simclr_steps.summary.paired import LEAST_UNITS, difference
from simclr_steps.summary.run_results import RunResults

PAIRED = (
    "Differences in percentage points, on the same images, draws of labels and seeds; in brackets, the 95 % interval "
    "by bootstrap over the judged images or, where they have any, groups; fewer than "
    f"{LEAST_UNITS} are too few to tell"
)

Pair = tuple[Correct | None, Correct | None]  # of one run, where it has both
Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """An accuracy as a share of 1, and the balanced one where the page shows it."""

    accuracy: float
    balanced: float | None

    def __str__(self) -> str:
        """Return the words "84.1 %" or "84.1 % (balanced 70.3 %)"."""
        of_classes = "" if self.balanced is None else f" (balanced {100 * self.balanced:.1f} %)"
        return f"{100 * self.accuracy:.1f} %{of_classes}"


@dataclass(frozen=True)
class Difference:
    """SimCLR's features beside the best of what comes for free, with one budget of labels, as shares of 1."""

    labels: str
    ours: Judged
    best: Mapping[str, Judged]  # by their names; several where they are equally accurate
    mean: float
    interval: tuple[float, float] | None  # None of too few images or groups
    units: str  # the interval's

    @property
    def is_better(self) -> bool:
        """Return whether SimCLR is better, whatever images were drawn for the split."""
        return self.interval is not None and self.interval[0] > 0

    def __str__(self) -> str:
        """Return the words "with 50 labels 84.1 %, ImageNet (resnet50) 81.0 %: 3.1 points better (2.2 to 4.0)"."""
        best = " and ".join(f"{name} {judged}" for name, judged in self.best.items())
        labels = f"{int(self.labels):,}" if self.labels.isdecimal() else self.labels
        beside = f"with {labels} labels {self.ours}, {best}"
        if self.interval is None:
            return f"{beside}: {100 * self.mean:+z.1f} points, too few {self.units} to tell"
        low, high = (100 * end for end in self.interval)
        verdict, interval = f"{100 * self.mean:.1f} points better", f"{low:.1f} to {high:.1f}"
        if high < 0:
            verdict, interval = f"{-100 * self.mean:.1f} points worse", f"{-high:.1f} to {-low:.1f}"
        elif not self.is_better:
            verdict, interval = f"no clear difference, {100 * self.mean:+z.1f} points", f"{low:+z.1f} to {high:+z.1f}"
        return f"{beside}: {verdict} ({interval})"


@dataclass(frozen=True)
class Apart:
    """By how much one input is better than another with one budget of labels, as a share of 1."""

    mean: float
    interval: tuple[float, float] | None  # None of too few images or groups
    units: str  # the interval's


def compared(runs: Sequence[RunResults], headlines: Sequence[Headline]) -> Iterator[Note]:
    """Yield a note for the budgets of each pretraining with which SimCLR is not better, and one for the others.

    It is compared with the best of all and, if these are others and training changed accuracies, with the given
    weights. Where the headlines have balanced accuracies, both are named; the verdict is on accuracy. What reads the
    images at another size than SimCLR is named.
    """
    balanced = {(one.dataset, one.pretrain): _means(one.balanced) for one in headlines}
    by_pretraining: dict[tuple[str, str], list[RunResults]] = {}
    for run in runs:
        by_pretraining.setdefault((run.run.dataset, run.run.pretrain), []).append(run)
    for whose, of_one in by_pretraining.items():
        of_classes = balanced.get(whose, {})
        best = differences(of_one, of_classes)
        start = [one for one in differences(of_one, of_classes, only="start") if one not in best and one.mean]
        for others, found in (("the best that comes for free", best), ("those before training", start)):
            for weight, text in _told(found, of_one):
                yield Note(weight, f"SimCLR features beside {others}: {text}", *whose)


def _told(found: Sequence[Difference], runs: Sequence[RunResults]) -> Iterator[tuple[Weight, str]]:
    """Yield what there is to say of differences: where SimCLR is not better, and where it is."""
    for weight, is_better in ((Weight.FAILED, False), (Weight.COMPARED, True)):
        chosen = [one for one in found if one.is_better == is_better]
        if chosen:
            named = dict.fromkeys(name for one in chosen for name in one.best)
            sizes = [f" {name} {size}." for name in named if (size := other_size(runs, name))]
            yield weight, f"{'; '.join(map(str, chosen))}.{''.join(sizes)}"


def other_size(runs: Sequence[RunResults], name: str) -> str:
    """Return "reads images at 224 × 224 pixels, SimCLR at 64 × 64", nothing where the sizes are one or unknown."""
    pairs = (run.read_at for run in runs if {"simclr", name} <= run.read_at.keys())
    sizes = next(((at[name], at["simclr"]) for at in pairs if at[name] != at["simclr"]), None)
    if sizes is None:
        return ""
    its, own = (f"{height} × {width}" for height, width in sizes)
    return f"reads images at {its} pixels, SimCLR at {own}"


def differences(
    runs: Sequence[RunResults], balanced: Mapping[tuple[str, str], float], only: str | None = None
) -> list[Difference]:
    """Return the difference of one pretraining from the best, or from one input only, for each budget of labels.

    Each is a mean over seeds and draws of labels, which both share; the interval is that of the images judged. The
    balanced accuracies are by the name of what they are of and the budget.
    """
    own = [run.correct["simclr"] for run in runs if "simclr" in run.correct]
    if not own:
        return []
    others = [name for name in dict.fromkeys(name for run in runs for name in run.correct) if name != "simclr"]
    others = [name for name in others if only in (None, name)]
    found = []
    for budget in dict.fromkeys(budget for budget, _ in own[0].right):
        shares = {SERIES.get(name, name): _shares(beside(runs, name), budget) for name in others}
        measured = {name: both for name, both in shares.items() if both}
        if measured:
            of_budget = {name: value for (name, of_one), value in balanced.items() if of_one == budget}
            found.append(_beside_best(measured, of_budget, budget, own[0]))
    return found


def _beside_best(
    measured: Mapping[str, tuple[Shares, Shares]], balanced: Mapping[str, float], budget: str, judged: Correct
) -> Difference:
    """Return SimCLR's difference from the best, given the shares of both by the other's name.

    Where several are equally good, the difference and its interval are those from the one that leave most doubt.
    """
    means = {name: float(its.mean()) for name, (_, its) in measured.items()}
    best = [name for name, mean in means.items() if math.isclose(mean, max(means.values()))]
    mean, interval = min((difference(np.subtract(*measured[name]), judged.groups) for name in best), key=_low_end)
    ours = Judged(float(measured[best[0]][0].mean()), balanced.get(SERIES["simclr"]))
    its = {name: Judged(means[name], balanced.get(name)) for name in best}
    return Difference(budget, ours, its, mean, interval, _units(judged))


def _low_end(apart: tuple[float, tuple[float, float] | None]) -> float:
    mean, interval = apart
    return interval[0] if interval else mean


def _means(accuracy: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Return a headline's accuracies by the name of what they are of and the budget."""
    return {(row["name"], budget_of(row)): row["mean"] for row in accuracy.to_dict("records")}


def budget_of(row: Mapping[Any, Any]) -> str:
    """Return the budget of a headline's row, as `Correct` has it."""
    return f"{row['labels']:.0f}" if pd.isna(row["budget"]) else str(row["budget"])


def paired(one: Headline, runs: Sequence[RunResults]) -> list[list[str]]:
    """Return by how much SimCLR's features differ from every other input, and fine-tuning from that of other weights.

    A header, then a row for each budget of labels of the headline; nothing where no two inputs share one.
    """
    of_one = [run for run in runs if (run.run.dataset, run.run.pretrain) == (one.dataset, one.pretrain)]
    measured = dict.fromkeys(name for run in of_one for name in run.correct)
    others = [name for name in dict.fromkeys([*SERIES, *measured]) if name in measured and name != "simclr"]
    pairs = {f"SimCLR minus {SERIES.get(name, name)}": beside(of_one, name) for name in others}
    pairs |= {f"{own} minus {other}": of_both for (own, other), of_both in tuned(of_one).items()}
    rows = []
    for label in in_order(one.accuracy):
        of_budget = one.accuracy[budgets(one.accuracy) == label]
        key = budget_of(of_budget.iloc[0].to_dict())
        rows.append([written(of_budget), *(points(of_column, key) for of_column in pairs.values())])
    table = [["labels", *pairs], *(row for row in rows if any(row[1:]))]
    kept = [number for number in range(len(table[0])) if any(row[number] for row in table[1:])]
    return [[row[number] for number in kept] for row in table] if kept else []


def beside(runs: Sequence[RunResults], name: str) -> list[Pair]:
    """Return what is known of SimCLR's features and of another input in each run."""
    return [(run.correct.get("simclr"), run.correct.get(name)) for run in runs]


def tuned(runs: Sequence[RunResults]) -> dict[tuple[str, str], list[Pair]]:
    """Return the fine-tunings of the pretrained network, each beside those from other weights that freeze as much.

    The keys are both names. Those of several budgets share a name, as they do in the headline.
    """
    blocks = _blocks(runs)
    pairs: dict[tuple[str, str], list[Pair]] = {}
    for one in blocks:
        for other in blocks:
            others = [one["series"].replace("pretrained", start) for start in ("random", "published")]
            if one["series"] not in others and other["series"] in others:
                of_runs = [(run.tuned.get(one["input"]), run.tuned.get(other["input"])) for run in runs]
                pairs.setdefault((one["name"], other["name"]), []).extend(of_runs)
    return pairs


def tuned_beside_frozen(runs: Sequence[RunResults]) -> dict[str, list[Pair]]:
    """Return the fine-tunings of all the pretrained network, by name, each beside its features as they were before."""
    pairs: dict[str, list[Pair]] = {}
    for one in _blocks(runs):
        if one["series"] == "finetune-pretrained":
            of_runs = [(run.tuned.get(one["input"]), run.correct.get("simclr")) for run in runs]
            pairs.setdefault(one["name"], []).extend(of_runs)
    return pairs


def _blocks(runs: Sequence[RunResults]) -> list[dict[Any, Any]]:
    """Return the input, series and name of each fine-tuning."""
    rows = [row for run in runs for row in run.rows if row["stage"] == "finetune" and row["metric"] == "accuracy"]
    if not rows:
        return []
    return named(pd.DataFrame(rows)).drop_duplicates("input")[["input", "series", "name"]].to_dict("records")


def points(pairs: Sequence[Pair], budget: str) -> str:
    """Return a difference and its interval in points, "+3.1 [+2.2, +4.0]", or nothing."""
    found = apart(pairs, budget)
    if not found:
        return ""
    if found.interval is None:
        return f"{100 * found.mean:+z.1f} (too few {found.units} to tell)"
    return f"{100 * found.mean:+z.1f} [{100 * found.interval[0]:+z.1f}, {100 * found.interval[1]:+z.1f}]"


def apart(pairs: Sequence[Pair], budget: str) -> Apart | None:
    """Return by how much the first of each pair is better; nothing where they share no draw of that budget."""
    both = _shares(pairs, budget)
    if not both:
        return None
    judged = next(one for one, _ in pairs if one)
    return Apart(*difference(both[0] - both[1], judged.groups), _units(judged))


def _units(judged: Correct) -> str:
    """Return what is resampled."""
    return "images" if judged.groups is None else "groups"


def _shares(pairs: Iterable[Pair], budget: str) -> tuple[Shares, Shares] | None:
    """Return the shares of both inputs' classifiers that are right about each image, [N], over the draws of both.

    Nothing where they share no draw, or no image was judged.
    """
    masks = [
        (mask, other.right[key])
        for one, other in pairs
        if one and other
        for key, mask in one.right.items()
        if key[0] == budget and key in other.right and len(mask)
    ]
    if not masks:
        return None
    ours, others = zip(*masks, strict=True)
    return np.mean(ours, axis=0), np.mean(others, axis=0)


def uncompared(rows: pd.DataFrame) -> Iterator[Note]:
    """Yield a note for each data set with accuracies whose runs were compared with no encoder off the shelf."""
    for name, of_dataset in rows.groupby("dataset", sort=False):
        series = set(of_dataset["series"])
        if "simclr" in series and "published" not in series:
            text = (
                "no encoder off the shelf was compared, so it is not known whether one that costs no training is "
                "better: name some under compare, such as torchvision:resnet50."
            )
            yield Note(Weight.UNMEASURED, text, str(name))
