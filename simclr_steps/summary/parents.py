"""The accuracy per image of tiles: the class with the largest mean probability over all tiles of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from simclr_steps.summary.intervals import ByGroup, spread_of

METRIC = "parent_accuracy"

_PLACE = {"parent", "x", "y", "width", "height"}  # columns that tiles and boxes have


@dataclass(frozen=True)
class OfParents:
    """How many images that were cut are classified right."""

    accuracy: float
    count: int
    by_group: ByGroup | None  # where several of them are a group


def of_parents(predictions: pd.DataFrame) -> OfParents | None:
    """Judge the images that the predicted rows are parts of, None where there are none or their parts differ in label.

    Takes what gather writes for a classifier: label, a probability_<class> for each class, and the columns of tiles.
    """
    if not set(predictions) >= _PLACE:
        return None
    rows = predictions.dropna(subset=["label", "parent"])
    parts = rows.groupby("parent", sort=False)
    if parts.ngroups in (0, len(rows)) or (parts["label"].nunique() > 1).any():
        return None
    classes = [name for name in rows if str(name).startswith("probability_")]
    prediction = parts[classes].mean().to_numpy().argmax(axis=1)
    right = (prediction == parts["label"].first().to_numpy(dtype=np.int64)).astype(float)
    return OfParents(
        float(right.mean()), len(right), _by_group(right, parts["group"].first()) if "group" in rows else None
    )


def _by_group(right: npt.NDArray[np.float64], groups: pd.Series[str]) -> ByGroup | None:
    """Return how many images are right in each group, unless each is a group of its own."""
    _, group, images = np.unique(groups.to_numpy(dtype=str), return_inverse=True, return_counts=True)
    if len(images) == len(right):
        return None
    return ByGroup(images.astype(np.float64), np.asarray(np.bincount(group, weights=right), dtype=np.float64))


def sentences(rows: pd.DataFrame) -> list[str]:
    """Say how accurate each fine-tuning is per image and per tile, given the tidy rows of one pretraining."""
    said = []
    for (name, split), of_one in rows[rows["metric"] == METRIC].groupby(["input", "split"], sort=False):
        same = (rows["stage"] == "finetune") & (rows["input"] == name) & (rows["split"] == split)
        tiles = spread_of(rows[same & (rows["metric"] == "accuracy") & rows["draw"].isin(of_one["draw"])])
        whole = spread_of(of_one)
        said.append(
            f"Fine-tuned {name}, accuracy on the {split} split in %: {whole} per image, by the mean probability over "
            f"the tiles of each of {whole.images:,} images, and {tiles} per tile."
        )
    return said
