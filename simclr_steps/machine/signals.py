"""Signals that ask a step to stop: SIGTERM from a scheduler, SIGINT from the keyboard."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from simclr_steps.machine.errors import Stopped
from simclr_steps.machine.processes import die_with_parent, leads

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def end_on_sigterm(*, resumes: bool = True) -> None:
    """Make SIGTERM end this program as Ctrl-C does: clean up, and say why, and that it resumes if it does."""
    advice = ": run again to resume" if resumes else ""

    def end(number: int, frame: Any) -> NoReturn:
        raise Stopped(f"stopped ({signal.Signals(number).name}){advice}", 128 + number)

    signal.signal(signal.SIGTERM, end)


def end_with_parent() -> None:
    """Make this process end when the one that started it does, and not on signals that are sent to all.

    Those come from a scheduler or a terminal, and the step may still need what this process makes.
    """
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    die_with_parent()


class Noted:
    """Which signal has come, 0 for none, since a block began that leaves when it can."""

    number = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note signals while the block runs; one that came too late for it goes to who listened before."""
        before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self.number and leads():
            signal.raise_signal(self.number)

    def _note(self, number: int, frame: Any) -> None:
        self.number = number
