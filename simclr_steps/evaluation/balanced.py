"""Measures in which every class counts alike, however many images it has."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from simclr_steps.data.groups import Groups, Mask
from simclr_steps.data.splits import Labels

Weights = npt.NDArray[np.float64]


def balanced_weights(labels: Labels) -> Weights:
    """Return a weight for each image, [N], by which classes sum to the same: n / (k n_c), as scikit-learn's "balanced".

    `labels` are int64 [N]; n is how many images there are, k how many classes they have, and n_c how many images the
    image's class has.
    """
    _, of_image, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray((len(labels) / (len(counts) * counts))[of_image], dtype=np.float64)


def balanced_accuracies(labels: Labels, groups: Groups | None, **right: Mask) -> dict[str, Any]:
    """Return the means over classes of the shares that are right, and what their intervals are computed from.

    `right` tells by measure of each image, [N], whether it is; `balanced_<measure>` is the mean. The effective number
    of images (Kish, "Survey Sampling", 1965) is how many a balanced set would have that tells as much. Where images
    have groups, `balanced_by_group` holds the weight of each and the weight in it that is right.
    """
    weights = balanced_weights(labels)
    names = {f"balanced_{name}": rows for name, rows in right.items()}
    found: dict[str, Any] = {name: float(np.average(rows, weights=weights)) for name, rows in names.items()}
    found["effective_images"] = round(weights.sum() ** 2 / (weights**2).sum())
    if groups is not None:
        group = np.unique(groups, return_inverse=True)[1]
        of_groups = {name: np.bincount(group, weights * rows).tolist() for name, rows in names.items()}
        found["balanced_by_group"] = {"images": np.bincount(group, weights).tolist(), **of_groups}
    return found
