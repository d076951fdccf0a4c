"""A file, or an array in a file, that is written as a stream, and whose disk may be full."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simclr_steps.files import raise_if_full


class GrowingFile:
    """A file without a buffer, so that a full disk shows where it is written to, not when it is closed.

    It is in the folder `place`; a message about a full disk says that it is in `out`, where it is to be moved.
    """

    def __init__(self, place: Path, name: str, out: Path) -> None:
        self._stream = (place / name).open("wb", buffering=0)
        self._name = out / name  # what the file will be called

    def write(self, content: bytes | memoryview, *, at_start: bool = False) -> None:
        """Append bytes, or overwrite those at the start.

        Raises
        ------
        UserError
            When the disk is full.
        """
        left = memoryview(content).cast("B")
        with self._full_disk_is_named():
            if at_start:
                self._stream.seek(0)
            while left:
                left = left[self._stream.write(left) :]

    def sync(self) -> None:
        """Wait until all of it is on the disk."""
        with self._full_disk_is_named():
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    @contextmanager
    def _full_disk_is_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise_if_full(error, self._name)
            raise


class GrowingArray:
    """A `.npy` file whose shape is known and whose values come a few rows at a time.

    `place`, `name` and `out` are as for a GrowingFile.
    """

    def __init__(self, place: Path, name: str, out: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        header = io.BytesIO()
        kind = np.lib.format.dtype_to_descr(dtype)
        np.lib.format.write_array_header_1_0(header, {"descr": kind, "fortran_order": False, "shape": shape})
        self._file = GrowingFile(place, name, out)
        self._header = header.getvalue()

    def __enter__(self) -> GrowingArray:
        self._file.write(self._header)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, rows: npt.NDArray[Any]) -> None:
        """Append rows, [n, ...], of the file's type.

        Raises
        ------
        UserError
            When the disk is full.
        """
        if rows.size:  # a memoryview of nothing cannot be cast to bytes
            self._file.write(np.ascontiguousarray(rows).data)

    def sync(self) -> None:
        """Wait until all of it is on the disk."""
        self._file.sync()
