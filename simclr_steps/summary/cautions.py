"""What a reader should know before believing an accuracy: few images, repeated ones, chance, collapse."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

import pandas as pd

from simclr_steps.data.labels import unjudged_classes
from simclr_steps.data.packed import Description
from simclr_steps.data.repeated import sentences
from simclr_steps.data.splits import JUDGED
from simclr_steps.summary.budgets import written
from simclr_steps.summary.headline import Headline
from simclr_steps.summary.intervals import interval
from simclr_steps.summary.notes import Note, Weight
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.tables import SPLIT_NAMES

FEW_GROUPS = 10  # of a judged split: an interval over them says little
FEW_IMAGES = 100  # of a judged split: one image is a point or more
RARE = 5  # labeled images of a class
_NAMED = 5  # classes in a sentence
_NO_LESS = 0.995  # of the loss of a network that tells no images apart
_RANK_OF_ONE = 1.05  # an effective rank below it is 1


def cautions(
    headlines: Sequence[Headline], descriptions: Mapping[str, Description], runs: Sequence[RunResults]
) -> Iterator[Note]:
    """Yield a note for each reason to doubt the accuracies."""
    for name, data in descriptions.items():
        yield from _of_data(name, data)
    for one in headlines:
        yield from _of_chance(one, descriptions[one.dataset])
    yield from _of_collapse(runs)
    yield from _of_lost_features(runs)
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
    """Name what is no better than to call every image by the most frequent class of the split."""
    split = data.splits.get(one.split)
    if not split or not split.labeled:
        return
    chance = max(split.per_class) / split.labeled
    at_chance: dict[str, list[str]] = {}  # numbers of labels, by name
    for row in one.accuracy.to_dict("records"):
        if row["images"] and interval(row["mean"], row["images"], row["by_group"])[0] <= chance:
            at_chance.setdefault(row["name"], []).append(written(pd.DataFrame([row])))
    for name, labels in at_chance.items():
        text = (
            f"{name} with {', '.join(labels)} labels cannot be distinguished from always predicting the most "
            f"frequent class, which is right for {100 * chance:.1f} % of the {SPLIT_NAMES[one.split]} split."
        )
        yield Note(Weight.DOUBTFUL, text, one.dataset, one.pretrain)


def _of_collapse(runs: Sequence[RunResults]) -> Iterator[Note]:
    """Name the pretrainings whose network makes the same of all images."""
    for run in runs:
        settings = (run.records.get("pretrain") or {}).get("settings") or {}
        if "global_batch_size" not in settings:
            continue
        others = settings["views"] * settings["global_batch_size"] - 1  # among which a view's positives are
        whose = run.run.dataset, run.run.pretrain, (run.run.seed,)
        advice = "lower the learning rate, or train longer if that was short"
        if run.history["loss"].iloc[-1] >= _NO_LESS * math.log(others):
            text = (
                f"the final loss is that of a network that cannot tell images apart, "
                f"ln {others} = {math.log(others):.3f}: {advice}."
            )
            yield Note(Weight.COLLAPSED, text, *whose)
        ranks = run.history.get("validate_rankme", pd.Series(dtype=float)).dropna()
        if len(ranks) and ranks.iloc[-1] < _RANK_OF_ONE:
            text = f"the effective rank is 1, as the features of all images point the same way: {advice}."
            yield Note(Weight.COLLAPSED, text, *whose)


def _of_lost_features(runs: Sequence[RunResults]) -> Iterator[Note]:
    """Name the pretrainings from given weights whose features were better before the first step."""
    lost: dict[tuple[str, str], dict[int, tuple[float, float]]] = {}  # accuracy before and after, by seed
    for run in runs:
        architecture = (run.records.get("pretrain") or {}).get("architecture") or {}
        measured = run.history.get("validate_knn_accuracy", pd.Series(dtype=float)).dropna()
        if not architecture.get("started_from") or run.history["epoch"].iloc[0] or len(measured) < 2:
            continue
        first, last = measured.iloc[0], measured.iloc[-1]
        if last < first:
            lost.setdefault((run.run.dataset, run.run.pretrain), {})[run.run.seed] = first, last
    for (dataset, pretrain), of_seeds in lost.items():
        first, last = (fmean(accuracies) for accuracies in zip(*of_seeds.values(), strict=True))
        text = (
            f"training made the features worse than the given weights': the hold-out's kNN accuracy was "
            f"{100 * first:.1f} % before the first step and is {100 * last:.1f} % after the last"
            f"{' (means)' * (len(of_seeds) > 1)}: lower backbone_learning_rate_factor, or raise freeze_epochs."
        )
        yield Note(Weight.DOUBTFUL, text, dataset, pretrain, tuple(of_seeds))


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
