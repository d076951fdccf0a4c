"""Which rows of features are alike: nearest neighbors and near-duplicates, in one pass over all pairs.

Pairs are compared in square tiles, so that memory grows with the number of rows and not with that of pairs, even where
all rows are equal, and each row that is read is compared with many others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

_COSINES_AT_A_TIME = 2**22  # 16 MiB in fp32, and 20 times as much where all of them are of near-duplicates
_ROUNDING = 1e-5  # of the cosine of equal rows, which may fall below 1 by as much


@dataclass(frozen=True)
class Similar:
    """What a pass over all pairs of rows, [N], finds."""

    distance: Floats  # mean cosine distance to the nearest others, [N]; 0 where there is no other
    closest: Numbers  # the nearest other row, [N]; itself where there is no other
    cosine: Floats  # of these two, [N]
    group: Numbers  # the smallest row that is joined to this one by near-duplicates, [N]; itself where it has none
    across: npt.NDArray[np.bool_]  # whether a near-duplicate of the row is on another side, [N]
    pairs: int  # of near-duplicates
    pairs_across: int  # those of rows on two sides


def directions(features: npt.NDArray[np.floating[Any]]) -> Floats:
    """Return features, [N, D], seen from their mean, as rows of length 1.

    What all images have in common would bring any two close to a cosine of 1. A row at the mean stays one of zeros,
    which is similar to none; where all rows are equal, the mean stays.
    """
    values = np.array(features, dtype=np.float32)
    if len(values) and (values != values[0]).any():
        values -= values.mean(axis=0, dtype=np.float64).astype(np.float32)
    return of_length_one(values)


def of_length_one(values: Floats) -> Floats:
    """Return rows, [N, D], that are scaled to length 1, in place; those of zeros stay."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    values /= np.where(lengths > 0, lengths, 1)
    return values


def similar(rows: Floats, neighbors: int, min_cosine: float, side: Numbers) -> Similar:
    """Compare all pairs of rows of length 1, [N, D].

    Parameters
    ----------
    neighbors
        How many nearest others the mean distance is of; fewer where there are no more.
    min_cosine
        From which cosine on two rows are near-duplicates.
    side
        [N], which side each row is on, such as that of training.
    """
    count = len(rows)
    found = Similar(
        distance=np.zeros(count, dtype=np.float32),
        closest=np.arange(count, dtype=np.int64),
        cosine=np.zeros(count, dtype=np.float32),
        group=np.arange(count, dtype=np.int64),
        across=np.zeros(count, dtype=np.bool_),
        pairs=0,
        pairs_across=0,
    )
    if count < 2:
        return found
    neighbors = min(neighbors, count - 1)
    group, twice, twice_across = found.group, 0, 0
    size = max(1, math.isqrt(_COSINES_AT_A_TIME))
    for start in range(0, count, size):
        here = slice(start, min(start + size, count))
        nearest = np.full((here.stop - start, neighbors), -np.inf, dtype=np.float32)
        cosine, closest = found.cosine[here], found.closest[here]
        cosine[:] = -np.inf
        ends, waiting = [], 0  # of pairs that are to be joined
        for left in range(0, count, size):
            cosines = rows[here] @ rows[left : left + size].T
            if left == start:
                np.fill_diagonal(cosines, -np.inf)
            largest = cosines.argmax(axis=1)
            value = np.take_along_axis(cosines, largest[:, None], axis=1)[:, 0]
            better = value > cosine
            cosine[better], closest[better] = value[better], left + largest[better]
            nearer = value > nearest.min(axis=1)
            of_both = np.concatenate([nearest[nearer], cosines[nearer]], axis=1)
            nearest[nearer] = np.partition(of_both, -neighbors, axis=1)[:, -neighbors:]
            paired = np.flatnonzero(value >= min_cosine - _ROUNDING)
            one, other = np.nonzero(cosines[paired] >= min_cosine - _ROUNDING)
            one, other = start + paired[one], left + other
            apart = side[one] != side[other]
            found.across[one[apart]] = True
            twice, twice_across = twice + len(one), twice_across + int(apart.sum())
            parted = group[one] != group[other]
            ends.append((one[parted], other[parted]))
            waiting += int(parted.sum())
            if waiting > _COSINES_AT_A_TIME or left + size >= count:
                group = _joined(group, *map(np.concatenate, zip(*ends, strict=True)))
                ends, waiting = [], 0
        found.distance[here] = np.maximum(1 - nearest, 0).mean(axis=1)
        np.minimum(cosine, 1, out=cosine)
    return Similar(**{**vars(found), "group": group, "pairs": twice // 2, "pairs_across": twice_across // 2})


def _joined(group: Numbers, one: Numbers, other: Numbers) -> Numbers:
    """Return the groups, [N], after some pairs are joined: the smallest row of each."""
    if not len(one):
        return group
    count = len(group)
    ends = np.concatenate([np.arange(count), one]), np.concatenate([group, other])
    joined = connected_components(coo_array((np.ones(len(ends[0]), dtype=np.int8), ends), (count, count)), False)[1]
    return np.asarray(np.unique(joined, return_index=True)[1][joined], dtype=np.int64)
