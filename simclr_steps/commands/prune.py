"""List the trainings that are kept in the folder work, and remove those that no result needs or that were left."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from simclr_steps.durations import duration
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.locks import is_locked, try_lock
from simclr_steps.training.published import PUBLISHED

_DAY = 86_400  # seconds
_IN_RESULTS, _SUPERSEDED, _INTERRUPTED, _GOES_ON = "in results", "superseded", "interrupted", "goes on"
_LOCK = "lock"  # the file that a training holds a lock on


@dataclass(frozen=True)
class _Kept:
    """A training that a work folder keeps.

    One that is superseded shares no file with a result, so that its removal frees space, and one that was interrupted
    resumes from its last save.
    """

    folder: Path
    size: int  # bytes
    age: float  # seconds since it ended or was saved
    state: str


def prune(work: Path, *, remove: bool = False, remove_interrupted: bool = False) -> None:
    """Print the trainings that are kept below `work`, the oldest first: size, age, and what they are.

    Parameters
    ----------
    remove
        Remove the finished ones that are not in the results. Where the file system has no hard links, that is all.
    remove_interrupted
        Remove those that were interrupted; not where the file system has no locks, as they may then be going on.

    Raises
    ------
    UserError
        When there is no folder `work`.
    """
    if not work.is_dir():
        raise UserError(f"{work} does not exist: pass the work folder of a workflow that has been run")
    trainings = sorted(_kept_below(work), key=lambda kept: -kept.age)
    if trainings:
        print(f"{'size':>12}  {'age':>12}  {'state':<11}  folder")
    for kept in trainings:
        print(f"{_megabytes(kept.size):>12}  {_age(kept.age):>12}  {kept.state:<11}  {kept.folder}")
    asked = {_SUPERSEDED: remove, _INTERRUPTED: remove_interrupted}
    removed = [kept for kept in trainings if asked.get(kept.state) and _remove(kept)]
    if any(asked.values()):
        print(f"removed {len(removed)} of {len(trainings)} training runs, {_total(removed)}")
        return
    print(f"{len(trainings)} training runs{''.join(_advice(trainings))}")


def _advice(trainings: list[_Kept]) -> Iterator[str]:
    for state, option in ((_SUPERSEDED, "--remove"), (_INTERRUPTED, "--remove-interrupted")):
        if of_state := [kept for kept in trainings if kept.state == state]:
            them = "it" if len(of_state) == 1 else "them"
            yield f"; {len(of_state)} {state}, {_total(of_state)}: {option} removes {them}"


def _remove(kept: _Kept) -> bool:
    """Remove a work folder unless a training works there; return whether it is gone."""
    with (kept.folder / _LOCK).open("a") as lock:
        if try_lock(lock, without_locks=kept.state != _INTERRUPTED):
            shutil.rmtree(kept.folder)
            return True
    print(f"{kept.folder} is or may be in use and stays")
    return False


def _kept_below(work: Path) -> Iterator[_Kept]:
    """Yield what work folders keep, without a look into other folders there."""
    for name, names, files in os.walk(work):
        folder = Path(name)
        if PUBLISHED not in names and _LOCK not in files:
            continue
        with contextlib.suppress(FileNotFoundError):  # a training has ended meanwhile
            if PUBLISHED in names:
                yield _look(folder, folder / PUBLISHED, (folder / PUBLISHED).stat().st_mtime)
            else:
                saved = [found.st_mtime for path, found in _found(folder.iterdir()) if path.name != _LOCK]
                yield _look(folder, folder, max(saved, default=(folder / _LOCK).stat().st_mtime))
        names.clear()


def _found(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield what the system tells of each path that is still there, as a training replaces its saves."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            yield path, path.stat()


def _look(folder: Path, content: Path, when: float) -> _Kept:
    files = [found for _, found in _found(content.rglob("*")) if stat.S_ISREG(found.st_mode)]
    names = Counter(file.st_ino for file in files)  # some are kept under several names
    by_inode = {file.st_ino: file for file in files}
    if content == folder:
        state = _GOES_ON if is_locked(folder / _LOCK) else _INTERRUPTED
    else:
        in_results = any(file.st_nlink > names[inode] for inode, file in by_inode.items())
        state = _IN_RESULTS if in_results else _SUPERSEDED
    size = sum(file.st_size for file in by_inode.values())
    return _Kept(folder, size, max(0.0, time.time() - when), state)


def _total(trainings: list[_Kept]) -> str:
    return _megabytes(sum(kept.size for kept in trainings))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _age(seconds: float) -> str:
    return duration(seconds) if seconds < 2 * _DAY else f"{seconds // _DAY:.0f} days"
