"""The accuracy per image of tiles: the class with the largest mean probability over all tiles of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simclr_steps.data.groups import by_group
from simclr_steps.data.splits import Labels
from simclr_steps.evaluation.balanced import balanced_accuracies

_PLACE = {"parent", "x", "y", "width", "height"}  # columns that tiles and boxes have


def by_parent(rows: pd.DataFrame, probabilities: npt.NDArray[np.float64], labels: Labels) -> dict[str, Any]:
    """Return under `parents` how many images there are that were cut, and which share of them is classified right.

    Beside it stand the balanced accuracy and what its interval is computed from. Takes what is known of N tiles, their
    probabilities of each class, [N, C], and their labels, int64 [N]. If several images are a group, `by_group` tells it
    of each. Nothing is returned where there are no tiles, where each image has one, or where the tiles of an image
    differ in label.
    """
    if not set(rows) >= _PLACE or not len(rows):
        return {}
    first, parent = np.unique(rows["parent"].to_numpy(dtype=np.str_), return_index=True, return_inverse=True)[1:]
    if len(first) == len(rows) or (labels[first][parent] != labels).any():
        return {}
    sums = np.zeros((len(first), probabilities.shape[1]))
    np.add.at(sums, parent, probabilities)
    right = sums.argmax(axis=1) == labels[first]
    groups = rows["group"].to_numpy(dtype=np.str_)[first] if "group" in rows else None
    if groups is not None and len(np.unique(groups)) == len(groups):
        groups = None
    balanced = balanced_accuracies(labels[first], groups, accuracy=right)
    shares = {"accuracy": float(right.mean()), **by_group(groups, accuracy=right), **balanced}
    return {"parents": {"images": len(right), **shares}}
