"""What was found in the images by their features, in a sentence for each run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from simclr_steps.summary.notes import Note, Weight
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.tables import SPLIT_NAMES


def in_words(facts: dict[str, Any]) -> str:
    """Return what explore.json tells. Raises KeyError where it tells too little, as one of another version may."""
    if facts["note"]:
        return str(facts["note"])
    found = facts["duplicates"]
    labels = facts["labels"]
    look_wrong = f" {labels['doubtful']:,} of {labels['judged']:,} labels look wrong." if labels["doubtful"] else ""
    return (
        f"{_counted(sum(facts['images'].values()), 'image')} in {_counted(facts['clusters']['count'], 'cluster')}; "
        f"{_counted(found['pairs'], 'pair')} of near-duplicates, {found['pairs_across']:,} of them across splits."
        f"{look_wrong}"
    )


def of_near_duplicates(runs: Sequence[RunResults]) -> Iterator[Note]:
    """Yield a note for each run in which images of a judged split resemble those of another."""
    for one in runs:
        across = (one.explored or {}).get("duplicates", {}).get("images_across", {})
        told = [
            f"{_counted(across[split], 'image')} of the {SPLIT_NAMES[split]} split"
            for split in ("validation", "test")
            if across.get(split)
        ]
        if told:
            text = (
                f"images of another split have nearly the same features as {' and '.join(told)}: if they show the same "
                "thing, results on them are too good, so look at explore/explore.html."
            )
            yield Note(Weight.DOUBTFUL, text, one.run.dataset, one.run.pretrain, (one.run.seed,))


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
