"""Which pretrainings are worth nothing, by their own figures or beside random features: what a reader sees first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from simclr_steps.summary.budgets import budgets, in_order, written
from simclr_steps.summary.headline import Headline
from simclr_steps.summary.notes import Note, Weight
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.tables import SPLIT_NAMES


def verdicts(headlines: Sequence[Headline], runs: Sequence[RunResults]) -> Iterator[Note]:
    """Yield a note for each pretraining that failed: what its own record says, and what random features say."""
    for run in runs:
        for sentence in _of_run(run):
            yield Note(Weight.FAILED, f"{sentence}.", run.run.dataset, run.run.pretrain, (run.run.seed,))
    for one in headlines:
        for sentence in _beside_random_features(one):
            yield Note(Weight.FAILED, f"{sentence}.", one.dataset, one.pretrain)


def _of_run(run: RunResults) -> Iterator[str]:
    if found := (run.records.get("pretrain") or {}).get("verdict"):
        yield found
    if any((row["stage"], row["metric"], row["value"]) == ("select", "epoch", 0) for row in run.rows):
        yield f"the encoder is the one that training started from, as no checkpoint is better: {run.choice.rstrip('.')}"


def _beside_random_features(one: Headline) -> Iterator[str]:
    """Say so where the mean accuracy is no better than that of random features for any number of labels.

    It is the balanced accuracy where the page has it.
    """
    decides, wording = (one.accuracy, "{} of") if one.balanced.empty else (one.balanced, "a balanced accuracy of {} on")
    rows = decides[decides["series"].isin(["simclr", "random"])]
    means = rows.assign(key=budgets(rows)).pivot(index="key", columns="series", values="mean")
    means = means.reindex(index=in_order(rows), columns=["simclr", "random"]).dropna()
    if len(means) and (means["simclr"] <= means["random"]).all():
        labels = written(rows[budgets(rows) == means.index[-1]])
        accuracy, of_random = (100 * float(mean) for mean in means.iloc[-1])
        measured = f"{wording.format(f'{of_random:.1f} %')} the {SPLIT_NAMES[one.split]} split"
        yield (
            f"did not learn: random features are as good for any number of labels, such as {labels}: {measured}, "
            f"where SimCLR features have {accuracy:.1f} %"
        )
