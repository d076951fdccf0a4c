"""Threads of libraries whose failure is told by what waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def quiet_threads(expected: Callable[[threading.ExceptHookArgs], bool]) -> Iterator[list[threading.ExceptHookArgs]]:
    """Let threads fail as is `expected` without a traceback on the console; yield the failures, which grow."""
    before, quiet = threading.excepthook, list[threading.ExceptHookArgs]()

    def hook(failed: threading.ExceptHookArgs) -> None:
        if expected(failed):
            quiet.append(failed)
        else:
            before(failed)

    threading.excepthook = hook
    try:
        yield quiet
    finally:
        threading.excepthook = before
