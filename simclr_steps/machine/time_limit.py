"""A limit on the computing time of what may never end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def time_limit(seconds: float, error: Exception) -> Iterator[None]:
    """Raise `error` in the block once the process has computed for this long, which no other process can delay.

    Only the main thread can do that, and only in Python's own code and in what looks at signals, as `re` does.
    """

    def end(*_: object) -> None:
        raise error

    listening = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, listening)
