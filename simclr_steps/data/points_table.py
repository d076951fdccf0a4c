"""The points of a map as a Parquet table that other tools open, with a small picture of each image."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from simclr_steps.files import whole_file

PICTURE = "thumbnail"


@contextmanager
def points_table(file: Path, table: pd.DataFrame) -> Iterator[Callable[[npt.NDArray[np.uint8]], None]]:
    """Yield what appends the pictures, uint8 [n, h, w, 3], of the next n rows of a table, which then are on the disk.

    The last column of the file holds them, each as the bytes of a PNG file.
    """
    schema = pa.Schema.from_pandas(table, preserve_index=False)
    rows_written = 0
    with (
        whole_file(file) as partial,
        pq.ParquetWriter(partial, schema.append(pa.field(PICTURE, pa.binary()))) as writer,
    ):

        def append(pictures: npt.NDArray[np.uint8]) -> None:
            nonlocal rows_written
            some = table.iloc[rows_written : rows_written + len(pictures)]
            columns = pa.Table.from_pandas(some, schema, preserve_index=False)
            png = pa.array([_as_png(picture) for picture in pictures], pa.binary())
            writer.write_table(columns.append_column(PICTURE, png))
            rows_written += len(pictures)

        yield append


def _as_png(picture: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    return file.getvalue()
