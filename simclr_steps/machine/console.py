"""The console: lines and, where it is a terminal, a bar below them."""

from __future__ import annotations

import fcntl
import logging
import os
from typing import TextIO

_CLEAR = "\r\x1b[K"  # the line that the cursor is in, where another step's bar may be
_WIDTH, _LEAST_WIDTH = 20, 5


class Console(logging.StreamHandler[TextIO]):
    """Writes lines to a stream and, where that is a terminal, draws what is said of progress as a bar.

    Such a record has a `share` of the work that is done, and an `in_passing` that tells whether it is for a bar only.
    Of the steps that share a terminal one at a time draws a bar; the others write lines, as they do elsewhere.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._terminal = _opened_terminal(stream)

    @property
    def is_terminal(self) -> bool:
        """Return whether there may be a bar."""
        return self._terminal is not None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or draw the bar anew."""
        try:
            if self._is_drawn(record):
                return
        except OSError:
            self._terminal = None  # it was closed, and what works on does not end with it
        if not getattr(record, "in_passing", False):
            super().emit(record)

    def _is_drawn(self, record: logging.LogRecord) -> bool:
        """Draw the bar, if the record is of progress and no other step draws one; take it away when it is complete."""
        share: float | None = getattr(record, "share", None)
        if share is None or self._terminal is None:
            return False
        if share < 1 and self._takes(self._terminal):
            self._draw(share, super().format(record), self._terminal)
            return True
        if share >= 1:
            fcntl.flock(self._terminal, fcntl.LOCK_UN)
            self.stream.write(_CLEAR)
        return False

    def format(self, record: logging.LogRecord) -> str:
        """Return a line as it is written."""
        return (_CLEAR if self.is_terminal else "") + super().format(record)

    def _takes(self, terminal: int) -> bool:
        """Return whether no other step draws a bar; none will until this one's is complete or its process ends."""
        try:
            fcntl.flock(terminal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _draw(self, share: float, line: str, terminal: int) -> None:
        """Draw the bar in what the words leave of the line; they come without their time, which is now."""
        columns = os.get_terminal_size(terminal).columns or 80  # 0 where nobody set it
        words = f"{share:4.0%} {line.partition(' ')[2]}"
        width = min(_WIDTH, columns - len(words) - 4)
        done = int(share * width)
        bar = f"[{'#' * done}{'.' * (width - done)}] " if width >= _LEAST_WIDTH else ""
        self.stream.write(_CLEAR + (bar + words)[: columns - 1])
        self.flush()


def _opened_terminal(stream: TextIO) -> int | None:
    """Return a descriptor of a stream's terminal, or None: of its own, as those that are inherited share their lock."""
    try:
        if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
            return os.open(os.ttyname(stream.fileno()), os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        pass
    return None
