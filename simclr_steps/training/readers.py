"""Processes that read images ahead: whether they can hand over what they read, and what is said when one does not."""

from __future__ import annotations

import math
import pickle
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_sharer
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from shutil import disk_usage
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import DataLoader

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.exits import kill
from simclr_steps.machine.logs import log
from simclr_steps.machine.signals import end_with_parent
from simclr_steps.machine.threads import quiet_threads

SHARED = Path("/dev/shm")  # noqa: S108 - where the C library puts memory that processes share
LONGEST_WAIT = 600.0  # seconds for one batch, which a file system that is busy may need
_MOMENT = 1.0  # second
_AHEAD = 2  # batches that torch has each reader keep
_TICKS = 10  # of that wait: while the whole job is stopped, as schedulers do, all that are due become one


def usable_readers(wanted: int, batch_bytes: int) -> int:
    """Return how many processes read ahead: as many as wanted or, with a line that says why, none.

    Each batch is handed over as a piece of shared memory, through a socket in the folder for temporary files. That is
    tried with as much memory as all readers of this machine fill, as a reader that cannot do it would be waited for.
    """
    processes = dist.get_world_size() if dist.is_initialized() else 1
    needed = (_AHEAD * wanted + 2) * batch_bytes * processes
    if wanted and (obstacle := _obstacle(needed)):
        log.warning("warning: reading images without reader processes because %s", obstacle)
        return 0
    return wanted


def shared_memory(kind: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """Return new memory that processes share; RuntimeError if there is none left."""
    storage = torch.UntypedStorage._new_shared(math.prod(shape) * kind.itemsize)
    return torch.empty(0, dtype=kind).set_(storage).view(shape)


def _obstacle(size: int) -> str | None:
    """Hand over `size` bytes within this process; return why that fails, and what to do, if it does."""
    try:
        shared = shared_memory(torch.uint8, (size,))
    except RuntimeError:
        free = disk_usage(SHARED).free if SHARED.exists() else 0
        return (
            f"{SHARED} has {free / 1e6:.0f} of the {size / 1e6:.0f} MB that they need: enlarge it, as docker run "
            f"--shm-size={-(-size // 2**20)}m does"
        )
    try:
        pickle.loads(ForkingPickler.dumps(shared))  # noqa: S301 - of our own making
    except OSError as error:
        return f"they cannot use {tempfile.gettempdir()} ({error}): set TMPDIR to another folder, with a short path"
    finally:
        resource_sharer.stop()
    return None


def start_reader(number: int) -> None:
    """Begin as a process that reads ahead: the training reads on after a signal until it is saved."""
    end_with_parent()


class WatchedLoader(DataLoader[Any]):
    """A loader whose readers are given up when a batch takes longer than the longest wait.

    torch's own timeout is only that of its queue: the memory of a batch is asked of its reader afterwards, and a reader
    that is stopped, or computes in C while its disk does not answer, would be waited for without end. So would its end.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # torch returns a class of its own
        """Yield the batches; UserError when one does not come."""
        if not self.num_workers:
            yield from super().__iter__()
            return
        batches: Any = self._iterator  # of the epoch before, whose readers are asked for more
        try:
            batches = _in_time(super().__iter__)
            while (batch := _in_time(lambda: next(batches, None))) is not None:
                yield batch
        except _NoAnswerError:
            if batches is not None:
                kill(batches._workers)
                _let_fetching_end()
            raise UserError(_sentence("did not answer")) from None


class _NoAnswerError(Exception):
    """A reader was waited for longer than the longest wait."""


def _in_time(call: Callable[[], Any]) -> Any:
    """Return what a call returns, which waits for readers. Only the main thread can be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    ticks = 0

    def tick(*_: object) -> None:
        nonlocal ticks
        ticks += 1
        if ticks == _TICKS:
            raise _NoAnswerError

    listening = signal.signal(signal.SIGALRM, tick)
    timer = signal.setitimer(signal.ITIMER_REAL, LONGEST_WAIT / _TICKS, LONGEST_WAIT / _TICKS)
    try:
        return call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, listening)


@contextmanager
def watched_readers() -> Iterator[None]:
    """Turn what torch says of a reader that died into one sentence.

    Raises
    ------
    UserError
        When that happened.
    """
    with quiet_threads(_lacks_reader) as lacking:
        try:
            yield
        except RuntimeError as error:
            of_readers = str(error).startswith("DataLoader") or (str(error).startswith("Pin memory thread") and lacking)
            if not of_readers:
                raise
            _let_fetching_end()
            raise UserError(_sentence("died, perhaps out of memory")) from error


def _lacks_reader(failed: threading.ExceptHookArgs) -> bool:
    """Return whether a thread that fetches batches for a GPU found that a reader is gone."""
    gone = issubclass(failed.exc_type, (ConnectionError, EOFError))
    return gone and failed.thread is not None and _fetches(failed.thread)


def _let_fetching_end() -> None:
    """Give torch's threads that fetch from readers that are gone a moment to find that out, too."""
    last = time.monotonic() + _MOMENT
    for thread in filter(_fetches, threading.enumerate()):
        thread.join(max(0.0, last - time.monotonic()))


def _fetches(thread: threading.Thread) -> bool:
    return "_pin_memory_loop" in thread.name  # torch's function that a thread runs where a GPU is to get the batches


def _sentence(what: str) -> str:
    return f"a process that reads images {what}: run again, with --workers 0 (pretrain, predict) if it happens again"
