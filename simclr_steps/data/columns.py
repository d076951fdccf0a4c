"""A column of a data set's table as values to tell apart: those that are there, or ranges of many numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from simclr_steps.settings.base import NO_LABEL

MOST_NUMBERS = 100  # that are told apart; more are put into ranges
_RANGES = 10  # with about as many rows each


@dataclass(frozen=True)
class Column:
    """A column of N rows: which of its values each has."""

    name: str
    values: list[str]  # sorted, numbers by their size
    codes: npt.NDArray[np.int64]  # [N], -1 where nothing is known
    ranges: bool = False  # whether the values are ranges of numbers


def column_of(name: str, cells: Sequence[str]) -> Column:
    """Return a column by its cells, "" where nothing is known."""
    present = sorted(set(cells) - {""})
    numbers = _as_numbers(present)
    if numbers is not None and len(present) > MOST_NUMBERS:
        return _in_ranges(name, cells)
    if numbers is not None:
        present = [present[place] for place in np.argsort(numbers, kind="stable")]
    code = {"": NO_LABEL} | {value: number for number, value in enumerate(present)}
    return Column(name, present, np.array([code[cell] for cell in cells], dtype=np.int64))


def _as_numbers(values: Sequence[str]) -> npt.NDArray[np.float64] | None:
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _in_ranges(name: str, cells: Sequence[str]) -> Column:
    known = np.array([cell != "" for cell in cells])
    numbers = np.array([float(cell) for cell in cells if cell])
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _RANGES + 1)))
    codes = np.full(len(cells), NO_LABEL)
    codes[known] = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    values = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    return Column(name, values, codes, ranges=True)
