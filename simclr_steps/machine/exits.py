"""End a process without taking apart what it holds in memory, which takes seconds where that is torch."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from typing import NoReturn

_LONGEST_END = 5.0  # seconds, of processes that were killed


def exit_at_once(status: int) -> NoReturn:
    """Exit as sys.exit does, except that no object is deleted: all memory goes back to the system as a whole.

    What was registered with atexit runs, as it ends other processes and removes temporary files. Threads are not waited
    for. Processes that read or decode are killed, as one that is stopped would never end.
    """
    for process in kill(multiprocessing.active_children()):
        multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]  # as atexit would wait for it
    atexit._run_exitfuncs()  # atexit has no public name for it, but multiprocessing relies on the like
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        status = status or os.EX_IOERR
    os._exit(status)


def kill(processes: Sequence[BaseProcess]) -> list[BaseProcess]:
    """Kill processes and return those that live on, as the system ends none that waits for a disk in it."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch would raise an exception for each reader that dies
    try:
        for process in processes:
            process.kill()
        last = time.monotonic() + _LONGEST_END
        for process in processes:
            process.join(max(0.0, last - time.monotonic()))
    finally:
        signal.signal(signal.SIGCHLD, before)
    return [process for process in processes if process.is_alive()]
