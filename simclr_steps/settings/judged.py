"""By which split results are judged: test or, where a winner of many is chosen by them, the hold-out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

JudgedBy = Literal["test", "validation"]


def splits_judged(judged_by: JudgedBy) -> tuple[str, ...]:
    """Return the splits that results are measured on, and that alone are read for it: the hold-out, and test last."""
    return ("validation", "test") if judged_by == "test" else ("validation",)


def instead_of_test(splits: Iterable[str], judged_by: JudgedBy) -> list[str]:
    """Return splits that a config names, each once, with the hold-out in place of test where that is not read."""
    return list(dict.fromkeys(judged_by if split == "test" else split for split in splits))
