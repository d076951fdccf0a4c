"""Features to search in, as embed and gather wrote them: whose they are, and what image each row is of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from simclr_steps.data.boxes import Box, part_named
from simclr_steps.data.gathered import read_features, read_table
from simclr_steps.data.image_tables import OF_CHANNEL
from simclr_steps.data.packed import Pixels, read_images, read_packed
from simclr_steps.data.readable import File
from simclr_steps.files import read_json
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import array_of

Block = npt.NDArray[np.float32]  # [n, D]

ROWS_AT_A_TIME = 16_384


@dataclass(frozen=True)
class FeatureTable:
    """Features of one file or folder, which are read a few rows at a time."""

    path: Path
    encoder_hash: str  # SHA-256 of the encoder's file
    names: Sequence[str]  # of the images
    images: Path | None = None  # the folder that paths are relative to, of features that embed wrote
    of_channels: pa.Table | None = None  # the paths of each image's channels, where these have a file each
    split: str | None = None  # of features that gather wrote
    pixel_hash: str | None = None  # of the packed images that these are of
    rows: npt.NDArray[np.int64] | None = None  # of the images in their array

    def __len__(self) -> int:
        return len(self.names)

    def blocks(self, width: int) -> Iterator[Block]:
        """Yield all features in their order, `width` of each image, in arrays that may be written to.

        Raises
        ------
        UserError
            When they are not that many numbers of each image, or are damaged.
        """
        start = 0
        for block in self._embedded(width) if self.split is None else self._gathered(width):
            if wrong := np.flatnonzero(~np.isfinite(block).all(axis=1)).tolist():
                row = start + wrong[0]
                raise UserError(
                    f"{self.path}: the features of row {row} ({self.names[row]}) are not finite: remove this image, "
                    "and compute the features again"
                )
            yield block
            start += len(block)

    def _embedded(self, width: int) -> Iterator[Block]:
        try:
            for batch in pq.ParquetFile(self.path).iter_batches(ROWS_AT_A_TIME, columns=["features"]):
                column = batch.column(0)
                values, widths = column.flatten(), pc.list_value_length(column).to_numpy(zero_copy_only=False)
                if values.null_count or not (widths == width).all():  # a row that is null has no width
                    raise UserError(
                        f"{self.path} does not have the encoder's {width} features of each image: run embed again"
                    )
                yield np.array(values, dtype=np.float32).reshape(len(batch), width)
        except (pa.ArrowException, OSError, ValueError, IndexError, AttributeError) as error:
            raise UserError(f"{self.path} is damaged ({error}): run embed again") from error

    def _gathered(self, width: int) -> Iterator[Block]:
        features = read_features(self.path, "backbone")
        if features.shape[1:] != (width,):
            raise UserError(f"{self.path} does not have the encoder's {width} features of each image: run gather again")
        for start in range(0, len(features), ROWS_AT_A_TIME):
            yield np.array(features[start : start + ROWS_AT_A_TIME], dtype=np.float32)

    def check_data(self, data: Path) -> None:
        """Raise UserError when the features are of packed images, and of others than those of `data`."""
        if self.split is not None and read_packed(data).pixel_hash != self.pixel_hash:
            raise UserError(f"{self.path} was computed from data other than {data}: give the data of its data set")

    def piece(self, row: int) -> tuple[File, Box] | None:
        """Return the file of an image, or those of its channels, and which part it is; None of packed images."""
        if self.images is None:
            return None
        name, box = part_named(self.names[row])
        if self.of_channels is None:
            return self.images / name, box
        return tuple(self.images / str(column[row]) for column in self.of_channels.columns), box

    def packed_image(self, data: Path, row: int) -> Pixels | None:
        """Return the packed image of a row, None where the features are not of packed images."""
        if self.split is None or self.rows is None:
            return None
        image: Pixels = read_images(data, array_of(self.split))[self.rows[row]]
        return image


def feature_tables(path: Path) -> list[FeatureTable]:
    """Return the features of a Parquet file of embed, of a folder of such, of a folder of gather, or of all its splits.

    Raises
    ------
    UserError
        When there are none, a file is damaged, or not all are of the same encoder.
    """
    if path.is_file():
        tables = [_of_embed(path)]
    elif not path.is_dir():
        raise UserError(f"--features: {path} does not exist: give what embed or gather wrote")
    elif (path / "backbone.npy").exists():
        tables = [_of_gather(path)]
    elif folders := sorted(file.parent for file in path.glob("[!.]*/backbone.npy")):
        tables = [_of_gather(folder) for folder in folders]
        if any(table.split == "train" for table in tables):  # it holds the unlabeled as well
            tables = [table for table in tables if table.split != "unlabeled"]
    else:
        tables = [_of_embed(file) for file in sorted(path.glob("*.parquet"))]
    if not any(map(len, tables)):
        raise UserError(f"--features: {path} holds no features: give what embed or gather wrote")
    for other in tables[1:]:
        if other.encoder_hash != tables[0].encoder_hash:
            raise UserError(
                f"--features: {tables[0].path} and {other.path} are of two encoders: give features of one of them"
            )
    return tables


def _of_embed(path: Path) -> FeatureTable:
    try:
        file = pq.ParquetFile(path)
        facts: dict[str, Any] = json.loads((file.metadata.metadata or {})[b"simclr"])
        channels = [name for name in file.schema_arrow.names if name.startswith(OF_CHANNEL)]
        names = file.read(["path"]).column(0).to_pylist()
        if absent := [row for row, name in enumerate(names) if not isinstance(name, str)]:
            raise UserError(f"{path} has no path in row {absent[0]}: give a table that embed wrote")
        images = Path(facts["images"])
        return FeatureTable(
            path=path,
            encoder_hash=facts["encoder_hash"],
            names=names,
            images=images.parent if images.is_file() else images,
            of_channels=file.read(channels) if channels else None,
        )
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is damaged or no Parquet file ({error}): give a table that embed wrote") from error
    except (LookupError, ValueError, RecursionError, TypeError) as error:
        raise UserError(f"{path} does not say whose features it holds: give a table that embed wrote") from error


def _of_gather(folder: Path) -> FeatureTable:
    facts = read_json(folder / "run.json")
    table = read_table(folder)
    try:
        return FeatureTable(
            path=folder,
            encoder_hash=facts["model_hash"],
            names=table["source"].astype(str).tolist(),
            split=facts["split"],
            pixel_hash=facts["predict"]["data_hash"],
            rows=table["row"].to_numpy(dtype=np.int64),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{folder} does not say whose features it holds: run gather and tabulate again") from error
