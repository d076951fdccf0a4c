"""Read the original files of the known image sets."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from simclr_steps.data.known_sets import ImageSet, Original
from simclr_steps.data.packed_writer import ImageSource, chunk_length, take
from simclr_steps.data.scaling import Values
from simclr_steps.data.splits import Labels, Rows
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import NO_LABEL
from simclr_steps.settings.image_format import Reading

Names = tuple[str, ...]
Stream = IO[bytes] | gzip.GzipFile


class Originals:
    """The original files of an image set, each beside the others or in its archive.

    Raises
    ------
    UserError
        When a file is not what the catalog says.
    """

    def __init__(self, known_set: ImageSet, paths: Mapping[str, Path]) -> None:
        self.known_set = known_set
        self._paths = paths
        self._members: dict[str, Original] = {m.name: m for file in known_set.originals for m in file.members}
        files = {file.name: file for file in known_set.originals} | self._members
        for name, path in paths.items():
            if not path.is_file() or not files[name].matches(path):
                raise UserError(
                    f"{path} is missing or has changed since it was downloaded: run download again (in the workflow: "
                    "-R download)"
                )

    def __enter__(self) -> Originals:
        return self

    def __exit__(self, *_: object) -> None:
        if "_archive" in self.__dict__:
            self._archive.close()

    @cached_property
    def _archive(self) -> tarfile.TarFile:
        return tarfile.open(self._paths[self.known_set.originals[0].name])

    def open(self, name: str) -> IO[bytes]:
        """Open a file by its name, or the member of the archive that has it."""
        if name in self._paths:
            return self._paths[name].open("rb")
        stream = self._archive.extractfile(f"{self.known_set.folder}/{name}")
        if stream is None:
            raise UserError(f"{self._paths[self.known_set.originals[0].name]} has no file {name}: run download again")
        return stream

    def unpickle(self, name: str) -> dict[bytes, Any]:
        """Return the content of a pickled member, if its bytes are the original's.

        Raises
        ------
        UserError
            When they are not; then nothing is unpickled.
        """
        with self.open(name) as stream:
            content = stream.read()
        member = self._members[name]
        if hashlib.new(member.algorithm, content).hexdigest() != member.checksum:
            raise UserError(f"{name} is not the original (its {member.algorithm} differs): run download again")
        entries: dict[bytes, Any] = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
        return entries


def read_originals(files: Originals) -> ImageSource:
    """Return the images of a known set, as they are in its original files."""
    known_set, layout = files.known_set, _LAYOUTS[files.known_set.layout]
    labels = {split: layout.labels(files, names) for split, names in known_set.splits.items()}

    def read(rows: Rows) -> Iterator[tuple[Rows, Values]]:
        return take((chunk for names in known_set.splits.values() for chunk in layout.images(files, names)), rows)

    height, width, channels = layout.shape
    return ImageSource(
        classes=list(known_set.classes) or _cifar_classes(files),
        reading=Reading(height=height, width=width, channels=channels),
        splits=np.repeat(list(labels), [len(part) for part in labels.values()]),
        labels=np.concatenate(list(labels.values())),
        names=[f"{split}/{number}" for split, part in labels.items() for number in range(len(part))],
        read=read,
    )


_PARTS_OF_ARRAYS = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Makes NumPy arrays, and of Python's types those that need no import."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PARTS_OF_ARRAYS:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in an image set")
        return _PARTS_OF_ARRAYS[module, name]


def _cifar_classes(files: Originals) -> list[str]:
    read = {name for names in files.known_set.splits.values() for name in names}
    (meta,) = (member.name for member in files.known_set.originals[0].members if member.name not in read)
    entries = files.unpickle(meta)
    names = entries[b"label_names"] if b"label_names" in entries else entries[b"fine_label_names"]
    return [name.decode() for name in names]


def _cifar_labels(files: Originals, names: Names) -> Labels:
    labels: list[int] = []
    for name in names:
        entries = files.unpickle(name)
        labels += entries[b"labels"] if b"labels" in entries else entries[b"fine_labels"]
    return np.array(labels, dtype=np.int64)


def _cifar_images(files: Originals, names: Names) -> Iterator[Values]:
    for name in names:
        planes: npt.NDArray[np.uint8] = files.unpickle(name)[b"data"].reshape(-1, 3, 32, 32)
        yield planes.transpose(0, 2, 3, 1)


def _idx_labels(files: Originals, names: Names) -> Labels:
    with files.open(names[1]) as packed, gzip.open(packed) as stream:
        _skip_idx_header(stream)
        return np.frombuffer(stream.read(), dtype=np.uint8).astype(np.int64)


def _idx_images(files: Originals, names: Names) -> Iterator[Values]:
    with files.open(names[0]) as packed, gzip.open(packed) as stream:
        _skip_idx_header(stream)
        yield from _chunks(stream, (28, 28, 1))


def _skip_idx_header(stream: Stream) -> None:
    """Read past the magic number, whose last byte is the number of axes, and the axes' lengths."""
    stream.read(4 * stream.read(4)[3])


def _svhn_labels(files: Originals, names: Names) -> Labels:
    labels: Labels = _matlab_array(files, names, "y").ravel().astype(np.int64)
    return labels % 10  # the digit 0 is written as 10


def _svhn_images(files: Originals, names: Names) -> Iterator[Values]:
    yield _matlab_array(files, names, "X").transpose(3, 0, 1, 2)


def _matlab_array(files: Originals, names: Names, variable: str) -> npt.NDArray[np.uint8]:
    from scipy.io import loadmat  # only this set needs it

    with files.open(names[0]) as stream:
        array: npt.NDArray[np.uint8] = loadmat(stream, variable_names=[variable])[variable]  # type: ignore[arg-type]
    return array


def _stl10_labels(files: Originals, names: Names) -> Labels:
    if len(names) == 1:
        return np.full(sum(map(len, _stl10_images(files, names))), NO_LABEL, dtype=np.int64)
    with files.open(names[1]) as stream:
        return np.frombuffer(stream.read(), dtype=np.uint8).astype(np.int64) - 1  # they count from 1


def _stl10_images(files: Originals, names: Names) -> Iterator[Values]:
    with files.open(names[0]) as stream:
        for planes in _chunks(stream, (3, 96, 96)):
            yield planes.transpose(0, 3, 2, 1)  # each plane is written column by column


def _chunks(stream: Stream, shape: tuple[int, int, int]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the rest of a stream as arrays of this shape, many at once: uint8 [n, *shape]."""
    length = chunk_length(*shape) * int(np.prod(shape))
    while content := stream.read(length):
        yield np.frombuffer(content, dtype=np.uint8).reshape(-1, *shape)


def _digits_table(files: Originals, names: Names) -> npt.NDArray[np.float64]:
    """Return 64 pixels from 0 to 16 and the digit of each image, float64 [N, 65]."""
    with files.open(names[0]) as packed, gzip.open(packed) as stream:
        return np.loadtxt(stream, delimiter=",")


def _digits_labels(files: Originals, names: Names) -> Labels:
    return _digits_table(files, names)[:, 64].astype(np.int64)


def _digits_images(files: Originals, names: Names) -> Iterator[Values]:
    yield np.rint(_digits_table(files, names)[:, :64] * 255 / 16).astype(np.uint8).reshape(-1, 8, 8, 1)


@dataclass(frozen=True)
class _Layout:
    """How images lie in files: [H, W, C], and functions that read the files of one split."""

    shape: tuple[int, int, int]
    labels: Callable[[Originals, Names], Labels]
    images: Callable[[Originals, Names], Iterator[Values]]


_LAYOUTS = {
    "digits": _Layout((8, 8, 1), _digits_labels, _digits_images),
    "cifar": _Layout((32, 32, 3), _cifar_labels, _cifar_images),
    "idx": _Layout((28, 28, 1), _idx_labels, _idx_images),
    "svhn": _Layout((32, 32, 3), _svhn_labels, _svhn_images),
    "stl10": _Layout((96, 96, 3), _stl10_labels, _stl10_images),
}
