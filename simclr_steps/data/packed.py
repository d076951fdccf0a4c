"""Packed data sets: every image of a split in one memory-mapped array, and what is known of each.

`prepare` writes the pixels: images.json, for train, validation and test `<split>.images.npy` (N × H × W × C, uint8 or
uint16 as the image format's `bits` say), and origins.parquet, a row for each image in the order of the arrays (split;
key, the image's place in its source; and digest, uint64, of its pixels). `label` writes what is known of them:
dataset.json, `<split>.labels.npy` (int64, N, -1 where there is no label), `<split>.rows.parquet` (row, int64; and as
text, null where it is unknown: source, where each image came from; label, its class by name; group, where the images
have groups; and all further columns of the source) and table.csv, a table of all images. The array of train holds all
images to train on, in the order of the source; "unlabeled" is a name for those of its rows that have no label, unless
none has one.
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
from simclr_steps.settings.base import PACKED_SPLITS
from simclr_steps.settings.image_format import ImageFormat

ROWS_OF_TRAIN = "train.rows.parquet"  # the first file that label puts in its place

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


class PackedImages(BaseModel):
    """images.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_format: ImageFormat
    images: dict[str, int]  # in each array, by split
    skipped: dict[str, list[str]]  # keys of unreadable images that were left out, by the split that they would be in
    pixel_hash: str  # of all packed images
    run: dict[str, Any]  # what made it


class Description(BaseModel):
    """dataset.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: list[str]  # in the order of their labels; empty where no image has a label
    image_format: ImageFormat
    splits: dict[str, SplitCounts]
    skipped: list[str]  # unreadable images that were left out
    repeated: Repeated = Repeated()
    pixel_hash: str  # of all packed images
    content_hash: str  # of the same, and of their classes, labels and groups
    split_seed: int  # of the splits, and of the labels that classifiers are given
    source: dict[str, Any]  # where the originals came from
    run: dict[str, Any]  # what made it

    @property
    def trained_on(self) -> int:
        """How many images there are to pretrain on: those in the array of train."""
        return self.splits["train"].images + self.splits["unlabeled"].images


@dataclass(frozen=True)
class Origins:
    """Where the images of one array come from."""

    keys: list[str]  # their places in the source
    digests: npt.NDArray[np.uint64]  # of their pixels, [N]


@dataclass(frozen=True)
class Split:
    """The images of one array, mapped from disk, and their labels."""

    images: Pixels  # [N, H, W, C]
    labels: npt.NDArray[np.int64]  # [N], -1 where there is no label

    def __len__(self) -> int:
        return len(self.images)


def read_packed(folder: Path) -> PackedImages:
    """Read images.json.

    Raises
    ------
    UserError
        When it is absent or wrong.
    """
    try:
        return PackedImages.model_validate(read_json(folder / "images.json"))
    except ValidationError as error:
        raise UserError(f"{folder / 'images.json'} does not describe packed images: run prepare again") from error


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
        raise UserError(f"{folder / 'dataset.json'} is not a valid data set description: run label again") from error


def read_images(folder: Path, split: str) -> Pixels:
    """Open the images of one array, [N, H, W, C], without reading them.

    Raises
    ------
    UserError
        When the file is absent, cut short or does not fit images.json.
    """
    form, path = read_packed(folder).image_format, folder / f"{split}.images.npy"
    images = open_array(path, "prepare")
    if images.shape[1:] != (*form.size, form.channels) or images.dtype != form.packed_dtype:
        raise UserError(f"{path} does not match images.json: run prepare again")
    return images


def read_labels(folder: Path, split: str) -> npt.NDArray[np.int64]:
    """Return the label of each image of one array, int64 [N], -1 where there is none.

    Raises
    ------
    UserError
        When the file is absent or damaged.
    """
    return np.asarray(open_array(folder / f"{split}.labels.npy", "label"), dtype=np.int64)


def read_split(folder: Path, split: str) -> Split:
    """Open the images of one array without reading them, and their labels.

    Raises
    ------
    UserError
        When a file is absent, cut short or does not fit the other or what describes it.
    """
    images, labels = read_images(folder, split), read_labels(folder, split)
    if labels.shape != images.shape[:1]:
        raise UserError(f"{folder / split}.images.npy does not match its labels: run label again")
    return Split(images, labels)


def read_origins(folder: Path) -> dict[str, Origins]:
    """Return where the images of each array come from, by split.

    Raises
    ------
    UserError
        When the file is absent or damaged.
    """
    table = read_parquet(folder / "origins.parquet", ["split", "key", "digest"], "prepare")
    of_splits = {split: table[table["split"] == split] for split in PACKED_SPLITS}
    return {
        split: Origins(part["key"].tolist(), part["digest"].to_numpy(dtype=np.uint64))
        for split, part in of_splits.items()
    }


def read_groups(folder: Path, data: Description, split: str) -> npt.NDArray[np.str_] | None:
    """Return the name of each image's group in one array, [N], or None where the images have no groups.

    Raises
    ------
    UserError
        As `read_rows`.
    """
    if data.splits[split].groups is None:
        return None
    return read_rows(folder, data, split)["group"].to_numpy(dtype=np.str_)


def read_rows(folder: Path, data: Description, split: str) -> pd.DataFrame:
    """Return the table of one array's rows, in their order, with the columns of `<split>.rows.parquet`.

    Raises
    ------
    UserError
        When the file is absent, damaged or does not fit dataset.json.
    """
    path = folder / f"{split}.rows.parquet"
    expected = ["row", "source", "label", *(["group"] if data.splits[split].groups is not None else [])]
    rows = read_parquet(path, expected, "label")
    if len(rows) != (data.trained_on if split == "train" else data.splits[split].images):
        raise UserError(f"{path} does not match the images of its split: run label again")
    return rows


def read_parquet(path: Path, expected: list[str], step: str) -> pd.DataFrame:
    """Return the table that a step wrote.

    Raises
    ------
    UserError
        When the file is absent or damaged, or lacks one of the expected columns.
    """
    try:
        table = pd.read_parquet(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run {step} again") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run {step} again") from error
    if missing := [column for column in expected if column not in table]:
        raise UserError(f"{path} has no {missing[0]} column: run {step} again")
    return table


def open_array(path: Path, step: str) -> npt.NDArray[Any]:
    """Open the array that a step wrote, without reading it.

    Raises
    ------
    UserError
        When the file is absent or damaged.
    """
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run {step}") from error
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run {step} again") from error
    return array
