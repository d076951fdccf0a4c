"""What chance is: how often always predicting the most frequent class is right."""

from __future__ import annotations

from simclr_steps.data.packed import Description


def chance(data: Description, split: str) -> float | None:
    """Return the share of a split's labeled images that are of its most frequent class; None without labels."""
    counts = data.splits.get(split)
    return max(counts.per_class) / counts.labeled if counts and counts.labeled else None
