"""Whether the results of a pretraining can be trusted: checks, each with its figure and its place on the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from simclr_steps.data.packed import Description
from simclr_steps.data.splits import JUDGED
from simclr_steps.summary.batch_effects import BatchEffect
from simclr_steps.summary.headline import Headline
from simclr_steps.summary.losses import LOSSES, beside_chance
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.tables import SPLIT_NAMES

_LAST = 0.25  # of the epochs, in which a training that has converged no longer improves
_POINT = 0.01  # that much more kNN accuracy is an improvement
_LESS_LOSS = 0.05  # and that much less hold-out loss, in nats: the other view is found with 5 % more probability
_SEEDS = 3  # fewer do not tell how much another seed would differ
_CALIBRATED = 0.05  # expected calibration error up to which probabilities are taken at their word


@dataclass(frozen=True)
class Check:
    """One thing that may be wrong."""

    name: str
    passed: bool
    figure: str
    section: str  # the id of the page's section that tells more


def checks(
    one: Headline,
    runs: Sequence[RunResults],
    data: Description,
    effects: Sequence[BatchEffect],
    section: str,
    *,
    of_all_seeds: bool = True,
) -> list[Check]:
    """Return the checks of one data set and pretraining for which there are data.

    `runs` are its runs, one for each seed, `effects` those of all pretrainings, and `section` is the id of its own
    section of the page. Seeds are counted where `runs` are `of_all_seeds`, and not on the page of one.
    """
    hold_out = data.splits.get("validation")
    found = [
        *_of_collapse(runs),
        *_of_convergence([beside_chance(run.history, hold_out.images if hold_out else 0) for run in runs]),
        *(_of_seeds(runs, section) if of_all_seeds else []),
        *_of_leaks(data, runs),
        *_of_batch_effects(one, effects),
        *_of_calibration(one, runs, section),
    ]
    return [*found, *_of_test_split(one, runs)]


def _of_collapse(runs: Sequence[RunResults]) -> Iterator[Check]:
    sentences = [str(run.records.get("pretrain", {}).get("verdict") or "") for run in runs]
    failed = [sentence.partition(":")[0] for sentence in sentences if sentence]
    ranks = [_last(run.history, "validate_rankme") for run in runs]
    measured = [rank for rank in ranks if rank is not None]
    if failed:
        which = f" ({len(failed)} of {len(runs)} seeds)" if len(runs) > 1 else ""
        yield Check("Training", False, f"{failed[0]}{which}", "monitors")
    elif measured:
        figure = f"features differ in {min(measured):.1f} directions (about 1 if collapsed)"
        yield Check("Not collapsed", True, figure, "monitors")


def _last(history: pd.DataFrame, column: str) -> float | None:
    measured = history[column].dropna() if column in history else history.iloc[:0, 0]
    return float(measured.iloc[-1]) if len(measured) else None


def _of_convergence(histories: Sequence[pd.DataFrame]) -> Iterator[Check]:
    """Compare the end with what was measured when a quarter of the epochs was left, as a mean over the seeds.

    It is the kNN accuracy of the hold-out or, where that was not measured so early, its loss, less that of chance where
    that is known, as the page shows it.
    """
    for column, told in (
        ("validate_knn_accuracy", "accuracy by nearest neighbors"),
        (LOSSES["validate_loss"], "loss less that of chance"),
        ("validate_loss", "loss"),
    ):
        pairs = [pair for history in histories if (pair := _before_and_after(history, column))]
        if not pairs:
            continue
        before, after = (sum(pair[end] for pair in pairs) / len(pairs) for end in (0, 1))
        is_share = column == "validate_knn_accuracy"
        gain = (after - before) / _POINT if is_share else (before - after) / _LESS_LOSS
        numbers = f"{100 * before:.1f} → {100 * after:.1f} %" if is_share else f"{before:.3f} → {after:.3f}"
        name = "Still improving" if gain > 1 else "Getting worse" if gain < -1 else "Converged"
        section = "monitors" if is_share else "history"
        yield Check(name, name == "Converged", f"hold-out {told} {numbers} in the last quarter of training", section)
        return


def _before_and_after(history: pd.DataFrame, column: str) -> tuple[float, float] | None:
    measured = history.dropna(subset=column) if column in history else history.iloc[:0]
    early = measured[measured["epoch"] <= (1 - _LAST) * history["epoch"].max()] if len(measured) else measured
    trained = early[early["epoch"] > 0] if len(early) else early
    if trained.empty:
        return None
    return float(trained[column].iloc[-1]), float(measured[column].iloc[-1])


def _of_seeds(runs: Sequence[RunResults], section: str) -> Iterator[Check]:
    if len(runs) >= _SEEDS:
        yield Check("Seeds", True, f"{len(runs)} seeds", section)
    else:
        too_few = "1 seed does" if len(runs) == 1 else f"{len(runs)} seeds do"
        figure = f"{too_few} not show what others give: run with seeds: {list(range(_SEEDS))}"
        yield Check("Seeds", False, figure, section)


def _of_leaks(data: Description, runs: Sequence[RunResults]) -> Iterator[Check]:
    """Count the judged images that are trained on, pixel for pixel, and those that resemble others by the features."""
    judged = [split for split in JUDGED if split in data.splits and data.splits[split].images]
    if not judged:
        return
    same = {split: count for split, count in data.repeated.trained_on.items() if count}
    alike: dict[str, int] = {}
    for run in runs[:1]:
        across = (run.explored or {}).get("duplicates", {}).get("images_across", {})
        alike = {split: across[split] for split in judged if across.get(split)}
    if same:
        counted = {split: f"{count:,} image{'s' * (count != 1)}" for split, count in same.items()}
        told = " and ".join(f"{count} of the {SPLIT_NAMES[split]} split" for split, count in counted.items())
        yield Check("Leaks", False, f"{told} {'is' if sum(same.values()) == 1 else 'are'} trained on, too", "first")
    elif alike:
        told = " and ".join(
            f"{count:,} of {data.splits[split].images:,} {SPLIT_NAMES[split]} images" for split, count in alike.items()
        )
        resemble = "resembles" if sum(alike.values()) == 1 else "resemble"
        figure = f"{told} {resemble} some of another split, so results on them may be too good"
        yield Check("Near-duplicates", False, figure, "notes")
    else:
        yield Check("No leaks", True, "no judged image is trained on, pixel for pixel", "data")


def _of_batch_effects(one: Headline, effects: Sequence[BatchEffect]) -> Iterator[Check]:
    for effect in effects:
        if (effect.dataset, effect.pretrain) == (one.dataset, one.pretrain) and effect.is_tested:
            mean, chance = 100 * effect.accuracy.mean, 100 * effect.chance
            name = "Batch effect" if effect.is_found else "No batch effect"
            figure = f"{effect.column} predicted at {mean:.1f} %, chance {chance:.1f} %"
            yield Check(name, not effect.is_found, figure, "metadata")


def _of_calibration(one: Headline, runs: Sequence[RunResults], section: str) -> Iterator[Check]:
    """Take the largest error of the fine-tunings, each a mean over its draws and seeds."""
    errors: dict[str, list[float]] = {}
    for run in runs:
        for row in run.rows:
            if (row["stage"], row["metric"], row.get("split")) == ("finetune", "calibrated_error", one.split):
                errors.setdefault(row["input"], []).append(row["value"])
    if errors:
        worst = max(sum(values) / len(values) for values in errors.values())
        figure = (
            f"probabilities{' of the worst classifier' * (len(errors) > 1)} are off by {100 * worst:.1f} % on average"
        )
        yield Check("Calibration", worst <= _CALIBRATED, figure, section)


def _of_test_split(one: Headline, runs: Sequence[RunResults]) -> Iterator[Check]:
    if one.accuracy.empty:
        return
    if any(run.run.judged_by == "validation" for run in runs):
        yield Check("Test split", True, "not read: runs of a grid are judged on the hold-out", "notes")
    elif one.split != "test":
        figure = "it has no labels: judged on the hold-out, which choices were made by"
        yield Check("Test split", False, figure, "method")
    else:
        yield Check("Test split", True, "not read before the final evaluation", "method")
