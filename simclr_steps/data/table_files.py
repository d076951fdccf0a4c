"""Tables that are written a few rows at a time: Parquet, CSV or NumPy's `.npz`, by the suffix of the file's name."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from simclr_steps.files import whole_file
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.replaced import check_not_read

Values = Sequence[str] | npt.NDArray[Any]  # of n rows: texts, numbers [n], or several numbers a row [n, K]
Names = Mapping[str, Sequence[str]]  # of the K columns that several numbers a row are, where they have any

_TEXTS_AT_A_TIME = 10_000
_GROUP_BYTES = 2**24  # of the rows in a row group of a Parquet file


class TableFile(ABC):
    """A table that grows; `facts` tell at its end how it was made."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.facts: dict[str, Any] = {}

    @abstractmethod
    def write(self, columns: Mapping[str, Values]) -> None:
        """Append rows, of the same columns each time."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is left, and the facts."""


def check_table(out: Path, *inputs: Path) -> None:
    """Raise UserError unless a table can be written to `out`, which is none of the inputs, and its suffix says how.

    The file of the facts beside a CSV file may be replaced only if it is one.
    """
    if out.is_dir():
        raise UserError(f"--out: {out} is a folder: give the name of a file in it")
    check_not_read(out, *inputs)
    there = next(folder for folder in out.absolute().parents if folder.exists())  # a missing folder is made
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise UserError(f"--out: {there} is no folder that you may write to: give another, or change its permissions")
    if out.suffix.lower() not in _KINDS:
        raise UserError(
            f"--out: {out} ends in none of {', '.join(_KINDS)}: give the table's file one of these suffixes"
        )
    if out.suffix.lower() == ".csv" and (beside := _beside(out)).exists() and not _holds_facts(beside):
        raise UserError(
            f"--out: {beside}, beside the table, is a file of yours and would be replaced: give another name"
        )


def _beside(out: Path) -> Path:
    """Return the file of the facts of a CSV file."""
    return out.with_name(f"{out.name}.json")


def _holds_facts(file: Path) -> bool:
    """Return whether a file is what a step wrote beside a table."""
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        return "step" in facts["run"]
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return False


@contextmanager
def whole_table(out: Path, names: Names | None = None) -> Iterator[TableFile]:
    """Yield a table to append to, which appears when the block ends well, and with it its facts: no old table has them.

    Several numbers a row are one column of lists in a Parquet file, columns NAME_0, NAME_1, … in a CSV file and one
    array [N, K] in an `.npz` file. Where `names` has them, each is a column of that name in Parquet and CSV.

    The facts become the Parquet file's metadata, under the key `simclr`, as JSON; the array `simclr` of an `.npz` file,
    a text of JSON; and the file FILE.csv.json beside a CSV file.

    Raises
    ------
    UserError
        As `check_table` and `whole_file` do.
    """
    check_table(out)
    with ExitStack() as stack:  # whose last file appears first
        beside = stack.enter_context(whole_file(_beside(out))) if out.suffix.lower() == ".csv" else None
        table = _KINDS[out.suffix.lower()](stack.enter_context(whole_file(out)), names or {}, stack)
        yield table
        table.finish()
        if beside:
            text = json.dumps(table.facts, indent=2, allow_nan=False, ensure_ascii=False)
            beside.write_text(f"{text}\n", encoding="utf-8")
            _beside(out).unlink(missing_ok=True)  # of the table that is replaced


class _Arrow(TableFile):
    """A table whose rows pyarrow writes."""

    _writer: Any = None

    def __init__(self, partial: Path, names: Names, stack: ExitStack) -> None:
        super().__init__(names)
        self._partial, self._stack = partial, stack

    def write(self, columns: Mapping[str, Values]) -> None:
        made: dict[str, pa.Array] = {}
        for name, values in columns.items():
            if not isinstance(values, np.ndarray):
                made[name] = pa.array(values, pa.string())
            elif values.ndim == 1:
                made[name] = pa.array(values)
            elif of_each := self.columns_of(name, values.shape[1]):
                made |= {one: pa.array(np.ascontiguousarray(values[:, k])) for k, one in enumerate(of_each)}
            else:
                made[name] = pa.FixedSizeListArray.from_arrays(values.ravel(), values.shape[1])
        batch = pa.record_batch(list(made.values()), names=list(made))
        if self._writer is None:
            self._writer = self._stack.enter_context(self.opened(batch.schema))
        self.append(batch)

    def append(self, batch: pa.RecordBatch) -> None:
        """Write rows, or keep them until there are enough."""
        self._writer.write_batch(batch)

    def columns_of(self, name: str, count: int) -> Sequence[str]:
        """Return the names of the columns that several numbers a row become; none if they stay together."""
        return self.names.get(name, ())

    @abstractmethod
    def opened(self, schema: pa.Schema) -> Any:
        """Return what writes rows of this kind."""


class _Parquet(_Arrow):
    """Rows wait until they fill a row group: one for each batch would make the file's footer as large as its rows."""

    def __init__(self, partial: Path, names: Names, stack: ExitStack) -> None:
        super().__init__(partial, names, stack)
        self._waiting: list[pa.RecordBatch] = []

    def append(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        if sum(some.nbytes for some in self._waiting) >= _GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._waiting))
        self._waiting = []

    def opened(self, schema: pa.Schema) -> Any:
        return pq.ParquetWriter(self._partial, schema, use_dictionary=False)

    def finish(self) -> None:
        if self._waiting:
            self._write_group()
        self._writer.add_key_value_metadata({"simclr": json.dumps(self.facts)})


class _Csv(_Arrow):
    def columns_of(self, name: str, count: int) -> Sequence[str]:
        return self.names.get(name) or [f"{name}_{number}" for number in range(count)]

    def opened(self, schema: pa.Schema) -> Any:
        return pa_csv.CSVWriter(self._partial, schema)

    def finish(self) -> None:
        """Write nothing: the facts are a file of their own."""


class _Npz(TableFile):
    """Arrays wait in files without a name, as one after the other goes into the archive, with its length first."""

    def __init__(self, partial: Path, names: Names, stack: ExitStack) -> None:
        super().__init__(names)
        self._partial, self._stack = partial, stack
        self._texts: dict[str, list[str]] = {}
        self._numbers: dict[str, tuple[BinaryIO, np.dtype[Any], tuple[int, ...]]] = {}  # rows are the first of a shape

    def write(self, columns: Mapping[str, Values]) -> None:
        for name, values in columns.items():
            if not isinstance(values, np.ndarray):
                self._texts.setdefault(name, []).extend(values)
                continue
            if name not in self._numbers:
                waiting = self._stack.enter_context(tempfile.TemporaryFile(dir=self._partial.parent))  # noqa: SIM115
                self._numbers[name] = waiting, values.dtype, (0, *values.shape[1:])
            file, dtype, (rows, *width) = self._numbers[name]
            file.write(np.ascontiguousarray(values).tobytes())
            self._numbers[name] = file, dtype, (rows + len(values), *width)

    def finish(self) -> None:
        with zipfile.ZipFile(self._partial, "w") as archive:
            for name, texts in {**self._texts, "simclr": [json.dumps(self.facts)]}.items():
                dtype = np.dtype(f"<U{max(1, *map(len, texts))}")
                with _member(archive, name, dtype, () if name == "simclr" else (len(texts),)) as member:
                    for start in range(0, len(texts), _TEXTS_AT_A_TIME):
                        member.write(np.array(texts[start : start + _TEXTS_AT_A_TIME], dtype).tobytes())
            for name, (file, number, shape) in self._numbers.items():
                file.seek(0)
                with _member(archive, name, number, shape) as member:
                    shutil.copyfileobj(file, member)


@contextmanager
def _member(archive: zipfile.ZipFile, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Iterator[Any]:
    """Yield an array of an `.npz` file, to write its values to."""
    header = io.BytesIO()
    kind = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(header, {"descr": kind, "fortran_order": False, "shape": shape})
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        member.write(header.getvalue())
        yield member


_KINDS: dict[str, Any] = {".parquet": _Parquet, ".csv": _Csv, ".npz": _Npz}
