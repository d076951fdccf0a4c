"""The arrays of an .npz file or a folder of .npy files, of which only the headers are read at first."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from simclr_steps.data.file_kinds import ARRAYS, converter_of, kind_of
from simclr_steps.machine.errors import UserError

_ADVICE = "give a folder with train_images.npy, or what numpy.savez(PATH, train_images=…) writes"


@dataclass(frozen=True)
class StoredArray:
    """An array on disk of which only the header was read."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    load: Callable[[], npt.NDArray[Any]]


def open_arrays(path: Path) -> dict[str, StoredArray]:
    """Return the arrays of an .npz file or a folder by their names.

    Raises
    ------
    UserError
        When there are none, or a file is damaged.
    """
    if path.is_dir():
        arrays = {file.stem: _in_file(file) for file in sorted(path.glob("*.npy")) if file.is_file()}
        if not arrays:
            raise UserError(
                f"path: {path} contains no .npy files: {_ADVICE}; or write `source: folder` for image files"
            )
        return arrays
    if not path.is_file():
        raise UserError(f"path: {path} does not exist: give an .npz file or a folder of .npy files")
    if converter := converter_of(path):
        raise UserError(f"path: {path} is not an .npz file: {converter}")
    if (kind := kind_of(path)) not in (None, ARRAYS):
        raise UserError(f"path: {path} is {kind}, not an .npz file: {_ADVICE}")
    with _intact(path), zipfile.ZipFile(path) as archive:
        names = [member.removesuffix(".npy") for member in archive.namelist()]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f'path: {path} contains the array "{name}" twice: save it again with each name once')
        return {name: _in_archive(archive, name) for name in names}


def _in_file(path: Path) -> StoredArray:
    with _intact(path):
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return StoredArray(path.stem, array.shape, array.dtype, lambda: array)


def read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and the type of a stored array, whose values follow in the stream; ValueError if it is none."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


def _in_archive(archive: zipfile.ZipFile, name: str) -> StoredArray:
    path = Path(archive.filename or "")

    def load() -> npt.NDArray[Any]:
        with _intact(path), np.load(path, allow_pickle=False) as arrays:
            array: npt.NDArray[Any] = arrays[name]
        return array

    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as stream:
        shape, dtype = read_header(stream)
        content = member.file_size - stream.tell()
    if math.prod(shape) * dtype.itemsize != content:  # which NumPy would make room for
        raise ValueError(f"the header of {name} says {shape} of {dtype}, but {content} bytes follow")
    return StoredArray(name, shape, dtype, load)


@contextmanager
def _intact(path: Path) -> Iterator[None]:
    """Turn what reading a damaged file raises into a UserError that names it."""
    try:
        yield
    except (ValueError, KeyError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"path: {path} contains no intact arrays of numbers ({error}): save it again") from error
