"""Do features tell a column of the data set's table, such as the plate? By the vote of nearest neighbors."""

from __future__ import annotations

from collections import Counter
from math import exp, lgamma
from typing import Any

import numpy as np
import numpy.typing as npt

from simclr_steps.data.columns import Column
from simclr_steps.data.groups import Groups, by_group
from simclr_steps.data.splits import Labels
from simclr_steps.evaluation.neighbors import nearest, vote
from simclr_steps.settings.base import NO_LABEL

NEIGHBORS = 10
_SHUFFLES = 100

Bools = npt.NDArray[np.bool_]


def predictability(features: npt.NDArray[np.float32], column: Column, groups: Groups | None) -> dict[str, Any]:
    """Return how often the nearest neighbors of an image, by cosine, vote for its value of a column.

    Features are [N, D]; no image votes for itself. Where a value is in several groups, images of the same group do not
    vote for each other either, so that what is measured is not merely that a group's images look alike. `chance` is the
    mean accuracy of the same votes after the values are shuffled, and `chance_most` what 97.5 % of the shuffles stay
    below: among groups, where all of a group have one value, and else among images. `shuffled` is how many of these
    there are, and `least_p` the smallest p-value that shuffling them can give. Rows without a value are left out.
    """
    known = np.flatnonzero(column.codes != NO_LABEL)
    codes = column.codes[known]
    group = None if groups is None else np.unique(groups[known], return_inverse=True)[1]
    apart = group if group is not None and _is_in_several(codes, group) else None
    indices, distances = nearest(features[known], features[known], NEIGHBORS, leave_one_out=True, apart=apart)
    neighbors, votes = indices.numpy(), np.isfinite(distances.numpy())
    right = _right(codes, neighbors, votes)
    unit = apart if apart is not None and not _is_in_several(apart, codes) else np.arange(len(codes))
    shuffled = [_right(one, neighbors, votes).mean() for one in _shuffles(codes, unit)]
    return {
        "values": len(np.unique(codes)),
        "images": len(codes),
        "ranges": column.ranges,
        "groups_vote_apart": apart is not None,
        "accuracy": float(right.mean()),
        "chance": float(np.mean(shuffled)),
        "chance_most": float(np.quantile(shuffled, 0.975)),
        "shuffled": len(np.unique(unit)),
        "least_p": _least_p(codes[np.unique(unit, return_index=True)[1]]),
        "most_frequent": float(np.bincount(codes).max() / len(codes)),
        **by_group(None if groups is None else groups[known], accuracy=right),
    }


def _is_in_several(one: Labels, other: Labels) -> bool:
    """Return whether rows of one number of the first kind, [N], are of several numbers of the second, [N]."""
    return len(np.unique(one * (1 + other.max()) + other)) > len(np.unique(one))


def _right(codes: Labels, neighbors: npt.NDArray[np.int64], votes: Bools) -> Bools:
    """Return for which images the neighbors, [N, K], of which some have no vote, choose the right value."""
    return np.asarray((vote(codes[neighbors], votes) == codes) & votes.any(axis=1))


def _shuffles(codes: Labels, unit: Labels) -> list[Labels]:
    """Return the values after each shuffle, [N]; rows of one unit, [N], keep having one value."""
    first = np.unique(unit, return_index=True)[1]
    generator = np.random.default_rng(0)
    return [codes[generator.permutation(first)][unit] for _ in range(_SHUFFLES)]


def _least_p(values: Labels) -> float:
    """Return the chance that a shuffle of the values, [N], puts the same ones together: the smallest p-value it gives.

    Neighbors do not see which value is which, so shuffles that only exchange whole values of one size are the same.
    """
    sizes = np.unique(values, return_counts=True)[1]
    of_one_size = Counter(sizes.tolist()).values()
    shuffles = lgamma(len(values) + 1) - sum(lgamma(size + 1) for size in sizes)
    return exp(sum(lgamma(count + 1) for count in of_one_size) - shuffles)
