"""Packed data sets: every image of a split in one memory-mapped array, described by dataset.json.

A folder holds, for each split, `<split>.images.npy` (N × H × W × C, uint8 or uint16 as the image format's `bits` say),
`<split>.labels.npy` (int64, N, -1 where there is no label) and `<split>.rows.parquet` (row, int64; and as text, null
where it is unknown: source, where each image came from; label, its class by name; group, where the images have groups;
and all further columns of the source).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from simclr_steps.files import read_json
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.image_format import ImageFormat

NO_LABEL = -1

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]  # [N, H, W, C]


class SplitCounts(BaseModel):
    """How many images a split has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: int
    labeled: int
    per_class: list[int]  # in the order of the classes
    groups: int | None = None  # None where the images have no groups


class Repeated(BaseModel):
    """How many images are there more than once, pixel for pixel."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trained_on: dict[str, int] = {}  # by split that is judged: images that are trained on as well
    between: dict[str, dict[str, int]] = {}  # by split and one before it: images of the former that are in the latter
    contradictory: int = 0  # of all splits: labeled images that have another label elsewhere


class Description(BaseModel):
    """dataset.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: list[str]  # in the order of their labels; empty where no image has a label
    image_format: ImageFormat
    splits: dict[str, SplitCounts]
    skipped: list[str]  # unreadable images that were left out
    repeated: Repeated = Repeated()
    content_hash: str  # of all packed images and labels
    split_seed: int  # of the splits, and of the labels that classifiers are given
    source: dict[str, Any]  # where the originals came from
    run: dict[str, Any]  # what made it


@dataclass(frozen=True)
class Split:
    """The images of one split, mapped from disk, and their labels."""

    images: Pixels  # [N, H, W, C]
    labels: npt.NDArray[np.int64]  # [N], -1 where there is no label

    def __len__(self) -> int:
        return len(self.images)


def read_description(folder: Path) -> Description:
    """Read dataset.json.

    Raises
    ------
    UserError
        When it is absent or wrong.
    """
    try:
        return Description.model_validate(read_json(folder / "dataset.json"))
    except ValidationError as error:
        raise UserError(f"{folder / 'dataset.json'} is not a valid data set description: run prepare again") from error


def read_split(folder: Path, split: str) -> Split:
    """Open one split without reading its images.

    Raises
    ------
    UserError
        When a file is absent, cut short or does not fit the other or dataset.json.
    """
    form = read_description(folder).image_format
    images, labels = (_open_array(folder / f"{split}.{part}.npy") for part in ("images", "labels"))
    path = folder / f"{split}.images.npy"
    if images.shape[1:] != (*form.size, form.channels) or images.dtype != form.packed_dtype:
        raise UserError(f"{path} does not match dataset.json: run prepare again")
    if labels.shape != images.shape[:1]:
        raise UserError(f"{path} does not match its labels: run prepare again")
    return Split(images, np.asarray(labels, dtype=np.int64))


def read_groups(folder: Path, data: Description, split: str) -> npt.NDArray[np.str_] | None:
    """Return the name of each image's group in one split, [N], or None where the images have no groups.

    Raises
    ------
    UserError
        As `read_rows`.
    """
    if data.splits[split].groups is None:
        return None
    return read_rows(folder, data, split)["group"].to_numpy(dtype=np.str_)


def read_rows(folder: Path, data: Description, split: str) -> pd.DataFrame:
    """Return the table of one split's rows, in their order, with the columns of `<split>.rows.parquet`.

    Raises
    ------
    UserError
        When the file is absent, damaged or does not fit dataset.json.
    """
    path = folder / f"{split}.rows.parquet"
    try:
        rows = pd.read_parquet(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run prepare again") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run prepare again") from error
    expected = ["row", "source", "label", *(["group"] if data.splits[split].groups is not None else [])]
    if missing := [column for column in expected if column not in rows]:
        raise UserError(f"{path} has no {missing[0]} column: run prepare again")
    if len(rows) != data.splits[split].images:
        raise UserError(f"{path} does not match the images of its split: run prepare again")
    return rows


def _open_array(path: Path) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run prepare") from error
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run prepare again") from error
    return array
