"""Whether the user's own files have changed, as far as that can be told where Snakemake runs."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from simclr_steps.data.image_files import images_below
from simclr_steps.data.image_tables import names_files, read_lines
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import ArraysDataset, FolderDataset

OwnDataset = FolderDataset | ArraysDataset


@dataclass(frozen=True)
class Fingerprints:
    """16 hexadecimal digits each, "" where the source cannot be listed: the step names what is wrong."""

    pixels: str
    labels: str
    are_of_steps: bool = True  # the steps' records have the same for these data


def fingerprints_to_plan(dataset: OwnDataset) -> Fingerprints:
    """Return the fingerprints of a data set or, without NumPy, by which splits are drawn, one that any change changes.

    Steps that run in a container or in conda's environment have NumPy; Snakemake's own environment need not.
    """
    try:
        from simclr_steps.data.fingerprints import fingerprints
    except ModuleNotFoundError:
        state = state_of_files(dataset)
        return Fingerprints(state, state, are_of_steps=False)
    return fingerprints(dataset)


def state_of_files(dataset: OwnDataset) -> str:
    """Return 16 hexadecimal digits that change when a file that a data set is made from does, without reading it.

    What counts is the place, the size and the time of change of each image, array, or CSV file and what it lists.
    """
    digest = hashlib.sha256()
    with contextlib.suppress(OSError):  # the step names what cannot be read
        for name, size, changed in sorted(_states(Path(dataset.path), arrays=isinstance(dataset, ArraysDataset))):
            digest.update(f"{name}\0{size}\0{changed}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _states(path: Path, *, arrays: bool) -> Iterator[tuple[str, int, int]]:
    """Yield each file's path in its data set, its size and its time of change in nanoseconds."""
    files: Iterable[tuple[str, os.DirEntry[str] | str]]
    if path.is_dir() and arrays:
        files = ((file.name, str(file)) for file in path.glob("*.npy"))
    elif path.is_dir():
        start = len(os.path.join(path, ""))  # noqa: PTH118
        files = ((file.path[start:], file) for file in images_below(path)[0])
    else:
        files = chain([(path.name, str(path))], [] if arrays else _listed(path))
    for name, file in files:
        with contextlib.suppress(OSError):  # one that is missing changes nothing but itself
            status = os.stat(file)  # noqa: PTH116 - far quicker than by Path, for a million of them
            yield name, status.st_size, status.st_mtime_ns


def _listed(table: Path) -> Iterator[tuple[str, str]]:
    seen = set[str]()  # as many lines may list parts of one file
    with contextlib.suppress(UserError):
        lines = read_lines(table)
        folder, columns = str(table.parent), [column for column in next(lines)[1] if names_files(column)]
        for _, cells in lines:
            for column in columns:
                if (name := cells[column]) not in seen:
                    seen.add(name)
                    yield name, os.path.join(folder, name)  # noqa: PTH118 - as with os.stat
