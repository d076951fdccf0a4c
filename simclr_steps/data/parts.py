"""What each process of a prediction writes as its part while it computes, and all parts in the order of the rows.

The part of process 0 consists of `part-0.rows.npy`, int64 [n], and of a file for each output of the network, as
`part-0.features.npy`, float32 [n, D], the i-th row of which belongs to the i-th of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simclr_steps.data.growing_file import GrowingArray
from simclr_steps.data.splits import Rows
from simclr_steps.machine.errors import UserError

Array = npt.NDArray[Any]

_NAMES = ("rows.npy", "features.npy", "projections.npy", "logits.npy", "npz")  # in version 0.1 a part was one .npz file
PATTERNS = tuple(f"part-[0-9]*.{name}" for name in _NAMES)  # of the parts' files
ROWS_AT_A_TIME = 4096


def _file_name(process: int, name: str) -> str:
    return f"part-{process}.{name}.npy"


class Part:
    """The part of one process, of `count` rows, written into the folder `place`, which is to become `out`."""

    def __init__(self, place: Path, out: Path, process: int, count: int) -> None:
        self._place, self._out, self._process, self._count = place, out, process, count
        self._files: dict[str, GrowingArray] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, arrays: Mapping[str, Array]) -> None:
        """Append the rows and outputs of a batch, by their names, each [B, ...].

        Raises
        ------
        UserError
            When the disk is full.
        """
        for name, array in arrays.items():
            if name not in self._files:
                file, shape = _file_name(self._process, name), (self._count, *array.shape[1:])
                grown = GrowingArray(self._place, file, self._out, array.dtype, shape)
                self._files[name] = self._stack.enter_context(grown)
            self._files[name].write(array)

    def sync(self) -> None:
        """Wait until all of it is on the disk."""
        for file in self._files.values():
            file.sync()


class Parts:
    """All parts in a folder, of which a few rows are in memory at a time.

    Raises
    ------
    UserError
        When a part is missing or damaged, or when the rows are not each of the split's `count` exactly once.
    """

    def __init__(self, folder: Path, processes: int, layers: Sequence[str], count: int) -> None:
        self._folder = folder
        rows = [self._open(process, "rows") for process in range(processes)]
        for process, layer in ((process, layer) for process in range(processes) for layer in layers):
            if len(self._open(process, layer)) != len(rows[process]):
                raise UserError(
                    f"{folder / _file_name(process, layer)} is damaged (it has not as many rows as its part): run "
                    "predict again"
                )
        merged = np.concatenate(rows)
        _check_rows(merged, count, folder)
        order = np.argsort(merged)
        lengths = [len(part) for part in rows]
        self._process = np.repeat(np.arange(processes), lengths)[order]
        self._place = np.concatenate([np.arange(length) for length in lengths])[order]  # of each row in its part

    def shape(self, layer: str) -> tuple[int, ...]:
        """Return the shape of an output for all rows."""
        return (len(self._place), *self._open(0, layer).shape[1:])

    def read(self, layer: str) -> Iterator[Array]:
        """Yield an output for all rows in their order, a few at a time, [n, ...]; for no rows one array of none."""
        for start in range(0, max(1, len(self._place)), ROWS_AT_A_TIME):
            process, place = (of_rows[start : start + ROWS_AT_A_TIME] for of_rows in (self._process, self._place))
            first = self._open(0, layer)
            values = np.empty((len(place), *first.shape[1:]), dtype=first.dtype)
            for number in np.unique(process):
                # Opened anew each time, as the pages that were read through a map stay with it.
                values[process == number] = self._open(int(number), layer)[place[process == number]]
            yield values

    def _open(self, process: int, name: str) -> Array:
        path = self._folder / _file_name(process, name)
        try:
            array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            raise UserError(f"{path} is missing: run predict again") from error
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{path} is damaged ({error}): run predict again") from error
        return array


def _check_rows(predicted: Rows, rows: int, parts: Path) -> None:
    foreign = predicted[(predicted < 0) | (predicted >= rows)]
    count = np.bincount(predicted[(predicted >= 0) & (predicted < rows)], minlength=rows)
    for what, wrong in (
        ("contains rows that are not in the split", foreign),
        ("contains rows more than once", np.flatnonzero(count > 1)),
        ("is missing rows", np.flatnonzero(count == 0)),
    ):
        if len(wrong):
            more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise UserError(f"{parts} {what}: {', '.join(map(str, wrong[:5]))}{more}: run predict again")
