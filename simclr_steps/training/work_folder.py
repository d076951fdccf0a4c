"""The folder in which a training keeps what it needs to go on after it was stopped, and what it made in the end."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simclr_steps.files import canonical_json, write_text
from simclr_steps.machine.errors import Stopped
from simclr_steps.machine.locks import has_name, wait_for_lock
from simclr_steps.machine.logs import log
from simclr_steps.machine.processes import launch, leads
from simclr_steps.training.published import PUBLISHED, clear, is_kept

_GO, _LEAVE = "go", "leave"
_SILENCE = 60.0  # seconds after which a process says what it waits for


@contextmanager
def work_folder(root: Path, *made_of: Any, place: Callable[[Path], None]) -> Iterator[Path]:
    """Yield the folder below `root` that belongs to this code, data, seed and settings, locked against other writers.

    Any change of what the result is made of leads to another folder, so nothing is resumed that would not have been
    made. Who leaves the folder has written the finished training to what `kept(folder)` yields; `place` is called with
    it to put it in its place, and it stays in the folder. When another process works there, this one waits for it and
    then goes on from where that stopped. Raises Stopped, a success, where the folder keeps a finished training, which
    is put in its place instead: on all nodes.
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
            wait_for_lock(lock, "trains in", folder)
            if not has_name(lock):
                continue
            if is_kept(folder):
                _say(word, _LEAVE)
                place(folder / PUBLISHED)
                raise Stopped(f"nothing to train: the finished training was restored from {folder}", os.EX_OK)
            _say(word, _GO)
            try:
                yield folder
            finally:
                _say(word, "")
            place(folder / PUBLISHED)
            clear(folder)
            return


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
            log.error("waiting for the process with NODE_RANK 0 to write %s, which it does once it trains", word)
            said = True
    if word.read_text() == _LEAVE:
        raise Stopped("the leading process found nothing to do", os.EX_OK)
