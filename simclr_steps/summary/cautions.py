"""What a reader should know before believing an accuracy: few images, repeated ones, chance, collapse."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from simclr_steps.data.packed import Description
from simclr_steps.data.repeated import sentences
from simclr_steps.data.splits import JUDGED
from simclr_steps.summary.budgets import written
from simclr_steps.summary.headline import Headline
from simclr_steps.summary.intervals import interval
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
) -> list[str]:
    """Return a sentence for each reason to doubt the accuracies."""
    of_data = [f"{name}: {sentence}" for name, data in descriptions.items() for sentence in _of_data(data)]
    of_results = [
        f"{one.title}: {sentence}" for one in headlines for sentence in _of_chance(one, descriptions[one.dataset])
    ]
    return [*of_data, *of_results, *_of_collapse(runs), *_of_lost_features(runs), *_of_threads(runs)]


def _of_data(data: Description) -> Iterator[str]:
    yield from sentences(data)
    for split in JUDGED:
        labeled = data.splits[split].labeled if split in data.splits else 0
        if 0 < labeled < FEW_IMAGES:
            each = f"each accounts for {100 / labeled:.1f} percentage points of accuracy"
            yield f"the {SPLIT_NAMES[split]} split has only {labeled} labeled images, so {each}."
        groups = data.splits[split].groups if labeled else None
        if groups is not None and groups < FEW_GROUPS:
            counted = "1 group" if groups == 1 else f"{groups} groups"
            name = SPLIT_NAMES[split]
            yield f"the {name} split has only {counted}, too few to tell how the accuracy varies between them."
    for split in ("train", "test"):
        if split not in data.splits or not data.splits[split].labeled:
            continue
        counts = dict(zip(data.classes, data.splits[split].per_class, strict=True))
        rare = [f"{name} ({count})" for name, count in counts.items() if count < RARE]
        if rare:
            more = f" and {len(rare) - _NAMED} more" if len(rare) > _NAMED else ""
            named = ", ".join(rare[:_NAMED])
            yield f"classes with fewer than {RARE} labeled images in the {split} split: {named}{more}."


def _of_chance(one: Headline, data: Description) -> Iterator[str]:
    """Name what is no better than to call every image by the most frequent class of the split."""
    split = data.splits.get(one.split)
    if not split or not split.labeled:
        return
    chance = max(split.per_class) / split.labeled
    for row in one.accuracy.to_dict("records"):
        if row["images"] and interval(row["mean"], row["images"], row["by_group"])[0] <= chance:
            labels = written(pd.DataFrame([row]))
            yield (
                f"{row['name']} with {labels} labels cannot be distinguished from always predicting the most "
                f"frequent class, which is right for {100 * chance:.1f} % of the {SPLIT_NAMES[one.split]} split."
            )


def _of_collapse(runs: Sequence[RunResults]) -> Iterator[str]:
    """Name the pretrainings whose network makes the same of all images."""
    for run in runs:
        settings = (run.records.get("pretrain") or {}).get("settings") or {}
        if "global_batch_size" not in settings:
            continue
        others = settings["views"] * settings["global_batch_size"] - 1  # among which a view's positives are
        loss = run.history["loss"].iloc[-1]
        title = f"{run.run.dataset}, {run.run.pretrain}, seed {run.run.seed}"
        advice = "lower the learning rate, or train longer if that was short"
        if loss >= _NO_LESS * math.log(others):
            yield (
                f"{title}: the final loss, {loss:.3f}, is that of a network that cannot tell images apart, "
                f"ln {others} = {math.log(others):.3f}: {advice}."
            )
        ranks = run.history.get("validate_rankme", pd.Series(dtype=float)).dropna()
        if len(ranks) and ranks.iloc[-1] < _RANK_OF_ONE:
            yield f"{title}: the effective rank is 1, as the features of all images point the same way: {advice}."


def _of_lost_features(runs: Sequence[RunResults]) -> Iterator[str]:
    """Name the pretrainings from given weights whose features were better before the first step."""
    for run in runs:
        architecture = (run.records.get("pretrain") or {}).get("architecture") or {}
        measured = run.history.get("validate_knn_accuracy", pd.Series(dtype=float)).dropna()
        if not architecture.get("started_from") or run.history["epoch"].iloc[0] or len(measured) < 2:
            continue
        first, last = measured.iloc[0], measured.iloc[-1]
        if last < first:
            yield (
                f"{run.run.dataset}, {run.run.pretrain}, seed {run.run.seed}: training made the features worse than "
                f"the given weights': the hold-out's kNN accuracy was {100 * first:.1f} % before the first step and is "
                f"{100 * last:.1f} % after the last: lower backbone_learning_rate_factor, or raise freeze_epochs."
            )


def _of_threads(runs: Sequence[RunResults]) -> Iterator[str]:
    """Name the steps that ran on a CPU with different numbers of threads in runs that are compared."""
    counts: dict[tuple[str, str], set[int]] = {}  # by data set and step
    for run in runs:
        for record in run.records.values():
            hardware = record.get("hardware") or {}
            if hardware.get("threads") and not hardware.get("gpus"):
                counts.setdefault((run.run.dataset, record["step"]), set()).add(hardware["threads"])
    for (dataset, step), threads in counts.items():
        if len(threads) > 1:
            yield (
                f"{dataset}: {step} ran with {' or '.join(map(str, sorted(threads)))} threads, which alone makes "
                f"results differ on a CPU: to compare runs, use the same number in all (--set-threads {step}=N)."
            )
