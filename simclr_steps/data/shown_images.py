"""Images to draw by their gathered features: of one split, of the unlabeled ones, or of several splits together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from simclr_steps.data.gathered import check_one_encoder, read_features, read_table
from simclr_steps.data.packed import Description, Pixels, read_images
from simclr_steps.data.requirements import split_of_features
from simclr_steps.data.splits import Labels, Rows, rows_of_split
from simclr_steps.settings.base import NO_LABEL, array_of


@dataclass(frozen=True)
class ShownImages:
    """Images of one or several splits, in the order of the folders of their features."""

    splits: list[str]  # of the folders
    table: pd.DataFrame  # split; row in its array, train for unlabeled; source, label, class and further columns
    labels: Labels  # int64 [N], -1 where there is none
    folders: Sequence[Path]
    folder: Rows  # [N], which of these the features of each image are in
    place: Rows  # [N], and which row there
    arrays: dict[str, Pixels]  # the images of an array, not read yet, by its split

    def __len__(self) -> int:
        return len(self.table)

    @property
    def name(self) -> str:
        """What they are, as in a title."""
        if self.splits == ["unlabeled"]:
            return "unlabeled images"
        if len(self.splits) == 1:
            return f"{self.splits[0]} split"
        return f"{', '.join(self.splits[:-1])} and {self.splits[-1]} splits"

    @property
    def counted(self) -> str:
        """How many they are, as a sentence: the test split has 3 images."""
        images = f"image{'s' * (len(self) != 1)}"
        if self.splits == ["unlabeled"]:
            return f"there {'is' if len(self) == 1 else 'are'} {len(self)} unlabeled {images}"
        return f"the {self.name} {'has' if len(self.splits) == 1 else 'have'} {len(self)} {images}"

    def features(self, layer: str, rows: Rows) -> npt.NDArray[np.float32]:
        """Read the features of some rows in a layer, backbone or projection_head: [len(rows), D]."""
        return _taken([read_features(one, layer) for one in self.folders], self.folder[rows], self.place[rows])

    def images(self, rows: Rows) -> Pixels:
        """Read the images of some rows: [len(rows), H, W, C]."""
        array = self.table["split"].iloc[rows].map(array_of).map(list(self.arrays).index).to_numpy(dtype=np.int64)
        return _taken(list(self.arrays.values()), array, self.table["row"].to_numpy(dtype=np.int64)[rows])


def shown_images(features: Sequence[Path], data: Path, description: Description) -> ShownImages:
    """Open folders of features that gather or tabulate wrote, and the images that these are of.

    Raises
    ------
    UserError
        When features are of other images or of different encoders; when a file is absent, damaged or does not fit.
    """
    splits = [split_of_features(folder, data, description) for folder in features]
    check_one_encoder(features)
    tables = [read_table(folder) for folder in features]
    labels = [table["label"].fillna(NO_LABEL).to_numpy(dtype=np.int64) for table in tables]
    named = []
    for split, table, known in zip(splits, tables, labels, strict=True):
        of_rows = np.full(len(table), split, dtype=f"<U{len('validation')}")
        if split == "train":
            of_rows[rows_of_split("unlabeled", known)] = "unlabeled"
        named.append(table.assign(split=of_rows))
    sizes = [len(table) for table in tables]
    return ShownImages(
        splits,
        pd.concat(named, ignore_index=True),
        np.concatenate(labels),
        features,
        np.repeat(np.arange(len(sizes)), sizes),
        np.concatenate([np.arange(size) for size in sizes]),
        {array: read_images(data, array) for array in dict.fromkeys(map(array_of, splits))},
    )


def _taken(arrays: Sequence[npt.NDArray[Any]], which: Rows, places: Rows) -> npt.NDArray[Any]:
    """Return rows of several arrays of one shape and type, given which array and place each is at."""
    taken = np.empty((len(places), *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    for number, array in enumerate(arrays):
        taken[which == number] = array[places[which == number]]
    return taken
