"""Find image files below a folder."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

from simclr_steps.data.file_kinds import converter_by_name
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_ARRAY = ".npy"
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
    files, ignored = images_below(folder)
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
        raise UserError(f"path: {folder} contains no images ({', '.join(sorted({*SUFFIXES, _ARRAY}))}){found}")
    if others:
        log.info("ignored %d other files: %s", others.total(), listed)
    return sorted(images, key=lambda name: name.replace("/", "\0"))  # as a folder precedes what its name begins


def _start_below(folder: Path) -> int:
    """Return where in the paths that are found in a folder the path relative to it begins."""
    return len(os.path.join(folder, ""))  # noqa: PTH118 - Path drops the separator at the end


def images_below(folder: Path) -> tuple[list[os.DirEntry[str]], list[os.DirEntry[str]]]:
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


def is_passed_over(name: str) -> bool:
    """Return, judging by its name, whether a file or folder is hidden, or was left there by a program."""
    return name.startswith(".") or name.lower() in _LEFTOVERS


def is_image(name: str) -> bool:
    """Return, judging by its name, whether a file is an image."""
    return name.lower().endswith(tuple(SUFFIXES))


def _is_array(name: str) -> bool:
    return name.lower().endswith(_ARRAY)
