"""Find image files below a folder, and tell by a fingerprint whether the files of a data set have changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

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


def find_images(folder: Path) -> list[str]:
    """Return the paths of all images below a folder, relative to it and sorted by folder.

    Left out are hidden files, other files, and folders that archives and file servers leave behind. Links to folders
    are followed, and each folder is read once, however many lead to it. `.npy` files are images where there are no
    others.

    Raises
    ------
    UserError
        When there is no image, one of an instrument's own format, or a name is not valid UTF-8.
    """
    images, start = [], _start_below(folder)
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
        images.append(file.path[start:])
    listed = ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in sorted(others.items()))
    if not images:
        found = f" but {listed}: add some, or convert these" if others else ": add some"
        raise UserError(f"path: {folder} contains no images ({', '.join(sorted(SUFFIXES))}){found}")
    if others:
        log.info("ignored %d other files: %s", others.total(), listed)
    return sorted(images, key=lambda name: name.replace("/", "\0"))  # as a folder precedes what its name begins


def _start_below(folder: Path) -> int:
    """Return where in the paths that are found in a folder the path relative to it begins."""
    return len(os.path.join(folder, ""))  # noqa: PTH118 - Path drops the separator at the end


def _images_below(folder: Path) -> tuple[list[os.DirEntry[str]], list[os.DirEntry[str]]]:
    """Return the images at any depth, and all other files; `.npy` files are images where there are no others."""
    files = list(_files_below(folder))
    wanted = is_image if any(is_image(file.name) for file in files) else _is_array
    images = [file for file in files if wanted(file.name)]
    return images, [file for file in files if not wanted(file.name)]


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
    files: Iterable[tuple[str, os.DirEntry[str] | str]]
    if path.is_dir() and arrays:
        files = ((file.name, str(file)) for file in path.glob("*.npy"))
    elif path.is_dir():
        start = _start_below(path)
        files = ((file.path[start:], file) for file in _images_below(path)[0])
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


def is_passed_over(name: str) -> bool:
    """Return, judging by its name, whether a file or folder is hidden, or was left there by a program."""
    return name.startswith(".") or name.lower() in _LEFTOVERS


def is_image(name: str) -> bool:
    """Return, judging by its name, whether a file is an image."""
    return name.lower().endswith(tuple(SUFFIXES))


def _is_array(name: str) -> bool:
    return name.lower().endswith(".npy")
