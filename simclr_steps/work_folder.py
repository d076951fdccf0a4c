"""The folder in which a training keeps what it needs to go on after it was stopped."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from simclr_steps.errors import Stopped
from simclr_steps.files import canonical_json
from simclr_steps.hardware import leads
from simclr_steps.logs import log


@contextmanager
def work_folder(root: Path, *made_of: Any, result: Path) -> Iterator[Path]:
    """Yield the folder below `root` that belongs to this code, data, seed and settings, locked against other writers.

    Any change of what the result is made of leads to another folder, so nothing is resumed that would not have been
    made. Who leaves the folder with the result made removes it. When another process works there, this one waits for it
    and then goes on from where that stopped. Raises Stopped, a success, when that has made `result`.
    """
    key = hashlib.sha256(canonical_json(made_of).encode()).hexdigest()[:16]
    folder = root / key
    if not leads():  # the leading process holds the lock for all
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            _wait_for(lock, folder)
            if _exists(lock):
                yield folder
                return
        if result.exists():
            raise Stopped(f"{result} was made by the process that was waited for", os.EX_OK)


def _wait_for(lock: TextIO, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.warning("waiting for the process that trains in %s, perhaps on another machine", folder)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        log.warning("warning: %s cannot be locked (%s): let no second process train there", folder, error.strerror)


def _exists(file: TextIO) -> bool:
    """Tell whether an open file still has a name."""
    try:
        return os.fstat(file.fileno()).st_nlink > 0
    except OSError:  # what NFS says of a file that another machine removed
        return False
