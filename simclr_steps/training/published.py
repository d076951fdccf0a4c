"""Finished trainings: kept in their work folders, and put in their place again without training when they come back.

What is kept and what is in place share their space by hard links, or are copies where the file system has none. Who
changes a file in place would change what is kept, too, so it is known by its checksums.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from simclr_steps.files import checksums, link_or_copy, read_json, whole_file, whole_folder, write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.replaced import Own, check_files, check_replaceable

PUBLISHED = "published"  # in a work folder
_CHECKSUMS = "published.json"  # beside it


@contextmanager
def kept(folder: Path) -> Iterator[Path]:
    """Yield an empty folder; when the block ends well, it is the finished training that a work folder keeps."""
    with whole_folder(folder / PUBLISHED, None) as published:
        yield published
        write_json(folder / _CHECKSUMS, checksums(published))


def is_kept(folder: Path) -> bool:
    """Return whether a work folder keeps a finished training. One that was changed is named and removed."""
    published = folder / PUBLISHED
    if not published.exists():
        return False
    with suppress(UserError):  # the checksums are gone, or damaged
        if read_json(folder / _CHECKSUMS) == checksums(published):
            return True
    log.warning("warning: %s has changed since the training and was removed: training starts over", published)
    shutil.rmtree(published)
    return False


def clear(folder: Path) -> None:
    """Remove from a work folder what its training needed to resume; the finished training and the lock stay."""
    for path in folder.iterdir():
        if path.name in (PUBLISHED, _CHECKSUMS, "lock"):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def place_folder(published: Path, out: Path, own: Own) -> None:
    """Put a finished training in its place as a folder, which appears whole; `own` as in `whole_folder`."""
    with whole_folder(out, own) as partial:
        for file in _files(published):
            target = partial / file.relative_to(published)
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(file, target)


def check_place(out: Path, names: Mapping[str, Own | None]) -> None:
    """Raise UserError when `place_files` would replace files of the user; the first one shows whose the others are."""
    check_files(out, [name for name, own in names.items() if not own], sign=next(iter(names)))
    for name, own in names.items():
        if own:
            check_replaceable(out / name, own)


def place_files(published: Path, out: Path, names: Mapping[str, Own | None]) -> None:
    """Put a finished training's files, and folders that hold their own, in a folder with others, in this order."""
    for name, own in names.items():
        if own:
            place_folder(published / name, out / name, own)
            continue
        with whole_file(out / name) as partial:
            partial.unlink()
            _link(published / name, partial)


def _link(file: Path, target: Path) -> None:
    """Make a file appear under another name, as new as what is made now: what is made of it is then not older."""
    link_or_copy(file, target)
    os.utime(target)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
