"""How far a long piece of work is: a bar on a terminal, and lines with growing distances in logs and elsewhere."""

from __future__ import annotations

import logging
import math
import time

from simclr_steps.durations import duration, per_second
from simclr_steps.machine.console import Console
from simclr_steps.machine.logs import log

_REDRAWN_EVERY = 0.5  # seconds


class Cadence:
    """Knows when something is to be said again: after some seconds, or a share of the time so far if that is longer."""

    def __init__(self, first: float, growth: float = 0.0, *, at_once: bool = False) -> None:
        self._first, self._growth = first, growth
        self._began = time.monotonic()
        self._last = -math.inf if at_once else self._began

    def is_due(self) -> bool:
        """Return whether it is time."""
        now = time.monotonic()
        return now - self._last >= max(self._first, self._growth * (now - self._began))

    def note(self) -> None:
        """Remember that it has just been said."""
        self._last = time.monotonic()


class Bar:
    """Knows when a bar is to be drawn again: never where the console is no terminal."""

    def __init__(self) -> None:
        self._cadence = Cadence(_REDRAWN_EVERY)
        self.is_shown = any(one.is_terminal for one in logging.getLogger().handlers if isinstance(one, Console))

    def is_due(self) -> bool:
        """Return whether it is time."""
        return self.is_shown and self._cadence.is_due()

    def tell(self, share: float, text: str, *, in_passing: bool = False) -> None:
        """Say how far it is; what is said in passing is for a bar only."""
        log.info("%s", text, extra={"share": share, "in_passing": in_passing})
        self._cadence.note()


class Progress:
    """Says how far a long piece of work is: done, rate and time left."""

    def __init__(self, what: str, total: float, unit: str = "images", every: float = 5.0, growth: float = 0.05) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._lines, self._bar = Cadence(every, growth), Bar()
        self._started = time.monotonic()
        self._done = 0.0

    def add(self, count: float) -> None:
        """Count what was done since the last time; say how far it is, if that was last said long enough ago."""
        self._done += count
        is_line = self._lines.is_due()
        ends_bar = self._bar.is_shown and self._done >= self._total
        if self._done and (is_line or ends_bar or self._bar.is_due()):
            rate = self._done / max(time.monotonic() - self._started, 1e-9)
            left = duration((self._total - self._done) / rate)
            done = f"{self._what} {self._done:.0f} of {self._total:.0f} {self._unit}"
            text = f"{done}, {per_second(rate)} {self._unit}/s, {left} left"
            self._bar.tell(self._done / max(self._total, self._done), text, in_passing=not is_line)
            if is_line:
                self._lines.note()
