"""Find image files below a folder, and tell by a fingerprint whether the files of a data set have changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from simclr_steps.data.file_kinds import converter_by_name
from simclr_steps.data.image_tables import names_files, read_lines
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.settings.datasets import ArraysDataset, FolderDataset

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_LEFTOVERS = frozenset(  # of archives, file servers and systems; with small copies of images, or deleted ones
    {
        "__macosx",
        "@eadir",
        "#recycle",
        "#snapshot",
        "~snapshot",
        "@recycle",
        "@recently-snapshot",
        "$recycle.bin",
        "system volume information",
        "lost+found",
    }
)


def find_images(folder: Path) -> list[PurePath]:
    """Return all images below a folder, relative to it and sorted.

    Left out are hidden files, other files, and folders that archives and file servers leave behind. Links to folders
    are followed, and each folder is read once, however many lead to it. `.npy` files are images where there are no
    others.

    Raises
    ------
    UserError
        When there is no image, one of an instrument's own format, or a name is not valid UTF-8.
    """
    images = []
    files, ignored = _images_below(folder)
    for file in ignored:
        if converter := converter_by_name(file.name):
            raise UserError(f"path: {file.path} is not read: {converter}, or remove it")
    others = Counter(Path(file.name).suffix.lower() for file in ignored)
    for file in files:
        try:
            file.path.encode()
        except UnicodeEncodeError:
            name = os.fsencode(file.path).decode(errors="backslashreplace")
            raise UserError(f"path: the name of {name} is not valid UTF-8: rename the file or its folder") from None
        images.append(PurePath(file.path).relative_to(folder))
    listed = ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in sorted(others.items()))
    if not images:
        found = f" but {listed}: add some, or convert these" if others else ": add some"
        raise UserError(f"path: {folder} contains no images ({', '.join(sorted(SUFFIXES))}){found}")
    if others:
        log.info("ignored %d other files: %s", others.total(), listed)
    return sorted(images)


def _images_below(folder: Path) -> tuple[list[os.DirEntry[str]], list[os.DirEntry[str]]]:
    """Return the images at any depth, and all other files; `.npy` files are images where there are no others."""
    files = list(_files_below(folder))
    images = [file for file in files if is_image(file.name)]
    images = images or [file for file in files if file.name.lower().endswith(".npy")]
    taken = set(images)
    return images, [file for file in files if file not in taken]


def _files_below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the files at any depth that are not hidden; links to folders come last, as they may lead to one of them."""
    waiting, seen = deque([str(folder)]), set[str]()
    while waiting:
        here = waiting.popleft()
        real = os.path.realpath(here)
        if real in seen:
            log.info("skipped %s: its images are already found through another path", here)
            continue
        seen.add(real)
        with os.scandir(here) as entries:
            visible = [entry for entry in entries if not is_passed_over(entry.name)]
        for entry in sorted(visible, key=lambda entry: entry.name):
            if not entry.is_dir():
                yield entry
            elif entry.is_symlink():
                waiting.append(entry.path)
            else:
                waiting.appendleft(entry.path)


def fingerprint(dataset: FolderDataset | ArraysDataset) -> str:
    """Return 16 hexadecimal digits that change when a file that a data set is packed from does, without reading it.

    What counts is the place, the size and the time of change of each image, array, or CSV file and what it lists.
    """
    digest = hashlib.sha256()
    with contextlib.suppress(OSError):  # the step names what cannot be read
        for name, size, changed in sorted(_states(Path(dataset.path), arrays=isinstance(dataset, ArraysDataset))):
            digest.update(f"{name}\0{size}\0{changed}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _states(path: Path, *, arrays: bool) -> Iterator[tuple[str, int, int]]:
    """Yield each file's path in its data set, its size and its time of change in nanoseconds."""
    files: Iterable[tuple[str, os.DirEntry[str] | Path]]
    if path.is_dir() and arrays:
        files = ((file.name, file) for file in path.glob("*.npy"))
    elif path.is_dir():
        start = len(str(path)) + 1
        files = ((file.path[start:], file) for file in _images_below(path)[0])
    else:
        files = [(path.name, path), *([] if arrays else _listed(path))]
    for name, file in files:
        with contextlib.suppress(OSError):  # one that is missing changes nothing but itself
            status = file.stat()
            yield name, status.st_size, status.st_mtime_ns


def _listed(table: Path) -> Iterator[tuple[str, Path]]:
    seen = set[str]()  # as many lines may list parts of one file
    with contextlib.suppress(UserError):
        for _, cells in read_lines(table):
            for column, name in cells.items():
                if names_files(column) and name not in seen:
                    seen.add(name)
                    yield name, table.parent / name


def is_passed_over(name: str) -> bool:
    """Return, judging by its name, whether a file or folder is hidden, or was left there by a program."""
    return name.startswith(".") or name.lower() in _LEFTOVERS


def is_image(name: str) -> bool:
    """Return, judging by its name, whether a file is an image."""
    return name.lower().endswith(tuple(SUFFIXES))
