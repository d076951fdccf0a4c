"""What a reader should know before believing an accuracy: few images, repeated ones, chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from simclr_steps.data.labels import unjudged_classes
from simclr_steps.data.packed import Description
from simclr_steps.data.repeated import sentences
from simclr_steps.data.splits import JUDGED
from simclr_steps.summary.budgets import written
from simclr_steps.summary.chance import chance
from simclr_steps.summary.explored import of_near_duplicates
from simclr_steps.summary.headline import Headline
from simclr_steps.summary.intervals import interval
from simclr_steps.summary.notes import Note, Weight
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.tables import SPLIT_NAMES

FEW_GROUPS = 10  # of a judged split: an interval over them says little
FEW_IMAGES = 100  # of a judged split: one image is a point or more
RARE = 5  # labeled images of a class
_NAMED = 5  # classes in a sentence
_BY_HOLD_OUT = (
    "runs of a grid are judged on the hold-out, so that the test split is left to the winner; as checkpoints, "
    "penalties and temperatures are chosen on the same images, these accuracies are somewhat too high."
)


def cautions(
    headlines: Sequence[Headline], descriptions: Mapping[str, Description], runs: Sequence[RunResults]
) -> Iterator[Note]:
    """Yield a note for each reason to doubt the accuracies."""
    for name, data in descriptions.items():
        yield from _of_data(name, data)
    for one in headlines:
        yield from _of_chance(one, descriptions[one.dataset])
    for name in dict.fromkeys(run.run.dataset for run in runs if run.run.judged_by == "validation"):
        yield Note(Weight.DOUBTFUL, _BY_HOLD_OUT, name)
    yield from of_near_duplicates(runs)
    yield from _of_threads(runs)


def _of_data(dataset: str, data: Description) -> Iterator[Note]:
    for sentence in sentences(data):
        yield Note(Weight.LEAKED, sentence, dataset)
    for sentence in [*_of_few_groups(data), *unjudged_classes(data)]:
        yield Note(Weight.TOO_FEW, sentence, dataset)
    for sentence in _of_few_images(data):
        yield Note(Weight.DOUBTFUL, sentence, dataset)
    for split in ("train", "test"):
        if split not in data.splits or not data.splits[split].labeled:
            continue
        counts = dict(zip(data.classes, data.splits[split].per_class, strict=True))
        rare = [f"{name} ({count})" for name, count in counts.items() if count < RARE]
        if rare:
            more = f" and {len(rare) - _NAMED} more" if len(rare) > _NAMED else ""
            named = ", ".join(rare[:_NAMED])
            text = f"classes with fewer than {RARE} labeled images in the {split} split: {named}{more}."
            yield Note(Weight.DOUBTFUL, text, dataset)


def _of_few_groups(data: Description) -> Iterator[str]:
    for split in JUDGED:
        groups = data.splits[split].groups if split in data.splits and data.splits[split].labeled else None
        if groups is not None and groups < FEW_GROUPS:
            counted = "1 group" if groups == 1 else f"{groups} groups"
            name = SPLIT_NAMES[split]
            yield f"the {name} split has only {counted}, too few to tell how the accuracy varies between them."


def _of_few_images(data: Description) -> Iterator[str]:
    for split in JUDGED:
        labeled = data.splits[split].labeled if split in data.splits else 0
        if 0 < labeled < FEW_IMAGES:
            counted = "1 labeled image" if labeled == 1 else f"{labeled} labeled images"
            each = f"each accounts for {100 / labeled:.1f} percentage points of accuracy"
            yield f"the {SPLIT_NAMES[split]} split has only {counted}, so {each}."


def _of_chance(one: Headline, data: Description) -> Iterator[Note]:
    """Name what is no better than to call every image by the most frequent class of the split.

    Where the page shows balanced accuracies they decide, as a classifier that tells classes apart may be right less
    often than that.
    """
    if (by_chance := chance(data, one.split)) is None:
        return
    split = data.splits[one.split]
    of_one_class = 1 / sum(count > 0 for count in split.per_class)
    frequent = f"always predicting the most frequent class, which is right for {100 * by_chance:.1f} % of the"
    frequent += f" {SPLIT_NAMES[one.split]} split"
    at_chance, alike = _not_above(one.accuracy, by_chance), _not_above(one.balanced, of_one_class)
    texts = {f"cannot be distinguished from {frequent}.": at_chance}
    if not one.balanced.empty:
        its = f"{100 * of_one_class:.1f} %"
        told_apart = [row for row in at_chance if row not in alike]
        texts = {
            f"cannot be distinguished from always predicting the same class, whose balanced accuracy is {its}.": alike,
            f"cannot be shown to be right more often than {frequent}, but the balanced accuracy is above the {its} of "
            "that.": told_apart,
        }
    for text, rows in texts.items():
        budgets: dict[str, list[str]] = {}
        for name, budget in rows:
            budgets.setdefault(name, []).append(budget)
        which = "; ".join(f"{name} with {', '.join(of_one)} labels" for name, of_one in budgets.items())
        if which:
            yield Note(Weight.DOUBTFUL, f"{which} {text}", one.dataset, one.pretrain)


def _not_above(accuracy: pd.DataFrame, chance: float) -> list[tuple[str, str]]:
    """Return the names and numbers of labels of the accuracies whose interval does not lie above chance."""
    return [
        (row["name"], written(pd.DataFrame([row])))
        for row in accuracy.to_dict("records")
        if row["images"] and interval(row["mean"], row["images"], row["by_group"])[0] <= chance
    ]


def _of_threads(runs: Sequence[RunResults]) -> Iterator[Note]:
    """Name the steps that ran on a CPU with different numbers of threads in runs that are compared."""
    counts: dict[tuple[str, str], set[int]] = {}  # by data set and step
    for run in runs:
        for record in run.records.values():
            hardware = record.get("hardware") or {}
            if hardware.get("threads") and not hardware.get("gpus"):
                counts.setdefault((run.run.dataset, record["step"]), set()).add(hardware["threads"])
    for (dataset, step), threads in counts.items():
        if len(threads) > 1:
            text = (
                f"{step} ran with {' or '.join(map(str, sorted(threads)))} threads, which alone makes results differ "
                f"on a CPU: to compare runs, use the same number in all (--set-threads {step}=N)."
            )
            yield Note(Weight.DOUBTFUL, text, dataset)
