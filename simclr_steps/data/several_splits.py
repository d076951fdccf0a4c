"""Gathered features of several splits as one table and one array, in which no label of the test split is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from simclr_steps.data.gathered import check_one_encoder, read_features, read_table
from simclr_steps.data.packed import Description
from simclr_steps.data.requirements import split_of_features
from simclr_steps.data.splits import Labels, rows_of_split
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import NO_LABEL, array_of


@dataclass(frozen=True)
class SeveralSplits:
    """Images of several splits, in the order of their arrays."""

    table: pd.DataFrame  # split; row in its array, train for unlabeled; source; class, null in the test split
    labels: Labels  # int64 [N], -1 where there is none, and in the test split
    groups: npt.NDArray[np.str_] | None  # the name of each image's group, [N], where images have groups
    arrays: dict[str, npt.NDArray[np.float32]]  # the features of an array, not read yet, by its split

    def array(self) -> npt.NDArray[np.str_]:
        """Return which array each image is in, [N]."""
        return self.table["split"].map(array_of).to_numpy(dtype=np.str_)

    def features(self) -> npt.NDArray[np.float32]:
        """Read the features, [N, D]."""
        array, row = self.array(), self.table["row"].to_numpy(dtype=np.int64)
        return np.concatenate([values[row[array == name]] for name, values in self.arrays.items()])


def several_splits(
    features: Path, data: Path, description: Description, named: Sequence[str], *, must: bool
) -> SeveralSplits:
    """Open the backbone's features of several splits, each in a folder below `features`, as gather wrote them.

    Raises
    ------
    UserError
        When they are of other images or of different encoders, or, if all `must` be there, one of them has no images.
    """
    arrays = sorted({array_of(split) for split in named}, key=["train", "validation", "test"].index)
    check_one_encoder(features / array for array in arrays)
    tables, labels, groups, opened = [], [], [], {}
    for array in arrays:
        folder = features / array
        if split_of_features(folder, data, description) != array:
            raise UserError(f"{folder} does not hold features of {array}: run gather again")
        rows, opened[array] = read_table(folder), read_features(folder, "backbone")
        of_rows = rows["label"].fillna(NO_LABEL).to_numpy(dtype=np.int64)
        split = np.full(len(rows), array, dtype=f"<U{len('validation')}")
        if array == "train":
            split[rows_of_split("unlabeled", of_rows)] = "unlabeled"
        table = pd.DataFrame({"split": split, **{name: rows[name] for name in ("row", "source", "class")}})
        if array == "test":  # nothing but the evaluation reads its labels
            table["class"], of_rows = pd.Series(pd.NA, index=table.index, dtype="string"), np.full(len(rows), NO_LABEL)
        kept = np.isin(split, named)
        tables.append(table[kept])
        labels.append(of_rows[kept])
        groups.append(rows["group"].to_numpy(dtype=np.str_)[kept] if "group" in rows else None)
    whole = pd.concat(tables, ignore_index=True)
    absent = [split for split in named if not (whole["split"] == split).any()]
    if must and absent:
        raise UserError(f"explore.splits: {absent[0]} of {data.name} has no images: remove it")
    of_groups = [some for some in groups if some is not None]
    return SeveralSplits(whole, np.concatenate(labels), np.concatenate(of_groups) if of_groups else None, opened)
