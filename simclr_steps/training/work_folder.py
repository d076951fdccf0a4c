"""The folder in which a training keeps what it needs to go on after it was stopped."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from simclr_steps.files import canonical_json, write_text
from simclr_steps.machine.errors import Stopped
from simclr_steps.machine.logs import log
from simclr_steps.machine.processes import launch, leads

_GO, _LEAVE = "go", "leave"
_SILENCE = 60.0  # seconds after which a process says what it waits for


@contextmanager
def work_folder(root: Path, *made_of: Any, result: Path) -> Iterator[Path]:
    """Yield the folder below `root` that belongs to this code, data, seed and settings, locked against other writers.

    Any change of what the result is made of leads to another folder, so nothing is resumed that would not have been
    made. Who leaves the folder with the result made removes it. When another process works there, this one waits for it
    and then goes on from where that stopped. Raises Stopped, a success, when that has made `result`: on all nodes.
    """
    key = hashlib.sha256(canonical_json(made_of).encode()).hexdigest()[:16]
    folder = root / key
    word = root / f"launch-{launch()}" if launch() else None  # of the leading process, which holds the lock for all
    if not leads():
        folder.mkdir(parents=True, exist_ok=True)
        if word and os.environ["NODE_RANK"] != "0":  # those on its own node it starts when it holds the lock
            _wait_for_word(word)
        yield folder
        return
    _say(word, "")
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            _wait_for(lock, folder)
            if _exists(lock):
                _say(word, _GO)
                try:
                    yield folder
                finally:
                    _say(word, "")
                return
        if result.exists():
            _say(word, _LEAVE)
            raise Stopped(f"{result} was made by the process that was waited for", os.EX_OK)


def _say(word: Path | None, what: str) -> None:
    """Leave a word for the other nodes, if there are any, or take it back."""
    if word and what:
        write_text(word, what)
    elif word:
        word.unlink(missing_ok=True)


def _wait_for_word(word: Path) -> None:
    """Wait until the leading process trains; raise Stopped, a success, when it left as there is nothing to do."""
    began, said = time.monotonic(), False
    while not word.exists():
        time.sleep(0.5)
        if not said and time.monotonic() - began > _SILENCE:
            log.error("waiting for the process of NODE_RANK 0 to write %s, as it does when it trains", word)
            said = True
    if word.read_text() == _LEAVE:
        raise Stopped("the leading process found nothing to do", os.EX_OK)


def _wait_for(lock: TextIO, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.warning("waiting for the process that trains in %s, perhaps on another machine", folder)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        log.warning("warning: %s cannot be locked (%s): do not start a second process there", folder, error.strerror)


def _exists(file: TextIO) -> bool:
    """Return whether an open file still has a name."""
    try:
        return os.fstat(file.fileno()).st_nlink > 0
    except OSError:  # what NFS says of a file that another machine removed
        return False
