"""Whether the user's own files have changed, as far as that can be told where Snakemake runs."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
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


def state_of(file: str) -> str:
    """Return a file's path, size and time of change in nanoseconds; of one that is missing, its path only."""
    try:
        status = os.stat(file)  # noqa: PTH116 - far quicker than by Path, for a million of them
    except OSError:
        return file
    return f"{file}\0{status.st_size}\0{status.st_mtime_ns}"


def state_of_files(dataset: OwnDataset) -> str:
    """Return 16 hexadecimal digits that change when a file that a data set is made from does, without reading it.

    What counts is the state of each image, array, or CSV file and what it lists.
    """
    digest = hashlib.sha256()
    with contextlib.suppress(OSError):  # the step names what cannot be read
        for state in sorted(map(state_of, _files(Path(dataset.path), arrays=isinstance(dataset, ArraysDataset)))):
            digest.update(f"{state}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _files(path: Path, *, arrays: bool) -> Iterator[str]:
    if path.is_dir() and arrays:
        yield from map(str, path.glob("*.npy"))
    elif path.is_dir():
        yield from (image.path for image in images_below(path)[0])
    else:
        yield str(path)
        if not arrays:
            yield from _listed(path)


def _listed(table: Path) -> Iterator[str]:
    seen = set[str]()  # as many lines may list parts of one file
    with contextlib.suppress(UserError):
        lines = read_lines(table)
        folder, columns = str(table.parent), [column for column in next(lines)[1] if names_files(column)]
        for _, cells in lines:
            for column in columns:
                if (name := cells[column]) not in seen:
                    seen.add(name)
                    yield os.path.join(folder, name)  # noqa: PTH118 - as with os.stat
