"""Locks on files, which end with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO, Any

from simclr_steps.machine.logs import log


def wait_for_lock(file: IO[Any], who: str, place: object) -> None:
    """Lock an open file; log who is working in `place` if that means waiting, and warn if locks are not supported."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.warning("waiting for the process that %s %s, perhaps on another machine", who, place)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        log.warning("warning: %s cannot be locked (%s): do not start a second process there", place, error.strerror)


def try_lock(file: IO[Any], *, without_locks: bool = True) -> bool:
    """Lock an open file unless another process has; return whether none has, `without_locks` where there are none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return without_locks
    return True


def is_locked(path: Path) -> bool:
    """Return whether another process holds the lock on a file: not on one that is gone, or another user's."""
    try:
        with path.open("r+b") as file:
            return not try_lock(file)
    except OSError:
        return False


def has_name(file: IO[Any]) -> bool:
    """Return whether an open file still has a name."""
    try:
        return os.fstat(file.fileno()).st_nlink > 0
    except OSError:  # what NFS says of a file that another machine removed
        return False
