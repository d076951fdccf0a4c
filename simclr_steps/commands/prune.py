"""List the finished trainings that are kept in the folder work, and remove those that no result needs."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from simclr_steps.durations import duration
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.locks import try_lock
from simclr_steps.training.published import PUBLISHED

_DAY = 86_400  # seconds


@dataclass(frozen=True)
class _Kept:
    """A finished training that a work folder keeps."""

    folder: Path
    size: int  # bytes
    age: float  # seconds since it ended
    in_results: bool  # shares its files with a result, so that its removal would free nothing


def prune(work: Path, *, remove: bool = False) -> None:
    """Print the finished trainings that are kept below `work`, the oldest first: size, age, and whether in results.

    Parameters
    ----------
    remove
        Remove those that are not in the results. Where the file system has no hard links, that is all.

    Raises
    ------
    UserError
        When there is no folder `work`.
    """
    if not work.is_dir():
        raise UserError(f"{work} does not exist: pass the work folder of a workflow that has been run")
    trainings = sorted(map(_look, _kept_below(work)), key=lambda kept: -kept.age)
    superseded = [kept for kept in trainings if not kept.in_results]
    for kept in trainings:
        state = "in results" if kept.in_results else "superseded"
        print(f"{_megabytes(kept.size):>12}  {_age(kept.age):>12}  {state}  {kept.folder}")
    if not remove:
        advice = ": --remove removes them" if superseded else ""
        print(f"{len(trainings)} finished training runs, {len(superseded)} superseded, {_total(superseded)}{advice}")
        return
    removed = [kept for kept in superseded if _remove(kept.folder)]
    print(f"removed {len(removed)} of {len(trainings)} finished training runs, {_total(removed)}")


def _remove(folder: Path) -> bool:
    """Remove a work folder unless a training works there; return whether it is gone."""
    with (folder / "lock").open("w") as lock:
        if try_lock(lock):
            shutil.rmtree(folder)
            return True
    print(f"{folder} is in use and stays")
    return False


def _kept_below(work: Path) -> list[Path]:
    """Return the work folders that keep a finished training, and do not look into those."""
    found = []
    for folder, names, _ in os.walk(work):
        if PUBLISHED in names:
            found.append(Path(folder))
            names.clear()
    return found


def _look(folder: Path) -> _Kept:
    files = [path.stat() for path in (folder / PUBLISHED).rglob("*") if path.is_file()]
    names = Counter(file.st_ino for file in files)  # some are kept under several names
    by_inode = {file.st_ino: file for file in files}
    return _Kept(
        folder,
        sum(file.st_size for file in by_inode.values()),
        max(0.0, time.time() - (folder / PUBLISHED).stat().st_mtime),
        any(file.st_nlink > names[inode] for inode, file in by_inode.items()),
    )


def _total(trainings: list[_Kept]) -> str:
    return _megabytes(sum(kept.size for kept in trainings))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _age(seconds: float) -> str:
    return duration(seconds) if seconds < 2 * _DAY else f"{seconds // _DAY:.0f} days"
