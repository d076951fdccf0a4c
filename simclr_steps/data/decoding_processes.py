"""Image files decoded by several processes at once, in the order of the files."""

from __future__ import annotations

import math
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from itertools import islice
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from simclr_steps.data.decoding import Decoded, decode
from simclr_steps.data.readable import File
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.signals import end_with_parent
from simclr_steps.settings.image_format import Reading

_AT_ONCE = 16  # files that a process decodes before it hands over
_ALONE = 2.0  # seconds of work before others are started, which takes as long and is worth hundreds of small files
_LOOK_EVERY = 1.0  # seconds in which a process that died is noticed

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def decode_all(files: Iterable[File], reading: Reading, workers: int) -> Iterator[Decoded | str]:
    """Decode files with `workers` processes and yield the results in the order of `files`.

    Raises
    ------
    UserError
        When a process dies.
    """
    return in_processes(partial(_decode_some, reading=reading), files, _AT_ONCE, workers)


def in_processes(
    job: Callable[[Sequence[_In]], list[_Out]], things: Iterable[_In], at_once: int, workers: int
) -> Iterator[_Out]:
    """Yield what a job makes of things, in order.

    This process works by itself until it would have been worthwhile to start others. Unless `workers` is 1, as many
    processes then work on what is left, on parts of `at_once` things each.

    Raises
    ------
    UserError
        When a process dies.
    """
    waiting = iter(things)
    left = _ALONE if workers > 1 else math.inf
    while left > 0:
        if not (first := list(islice(waiting, 1))):
            return
        started = time.monotonic()
        made = job(first)
        left -= time.monotonic() - started
        yield from made
    parts = _in_parts(waiting, at_once)
    try:
        # Fresh processes: a fork of one in which torch runs threads can hang.
        spawned = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=spawned, initializer=end_with_parent) as pool:
            for decoded in _in_order(pool, job, parts, ahead=4 * workers):
                yield from decoded
    except BrokenProcessPool as error:
        raise UserError(
            "a process that decodes images died, perhaps out of memory: run again with fewer --workers"
        ) from error


def _in_parts(things: Iterator[_In], at_once: int) -> Iterator[list[_In]]:
    while part := list(islice(things, at_once)):
        yield part


def _decode_some(files: Sequence[File], reading: Reading) -> list[Decoded | str]:
    return [decode(file, reading) for file in files]


def _in_order(
    pool: ProcessPoolExecutor, job: Callable[[Any], list[Any]], parts: Iterable[Any], ahead: int
) -> Iterator[list[Any]]:
    """Yield the results of jobs in order, with no more than `ahead` of them begun."""
    waiting, others = iter(parts), multiprocessing.active_children()
    begun: deque[Future[list[Any]]] = deque(pool.submit(job, part) for part in islice(waiting, ahead))
    decoders = [process for process in multiprocessing.active_children() if process not in others]
    try:
        while begun:
            yield _result(begun.popleft(), pool, decoders)
            begun.extend(pool.submit(job, part) for part in islice(waiting, 1))
    except BrokenProcessPool:
        # The others wait until somebody reads what they hand over, and the pool waits for them, as they ignore SIGTERM.
        _kill(decoders)
        raise
    finally:
        for future in begun:
            future.cancel()


def _result(future: Future[list[Any]], pool: ProcessPoolExecutor, decoders: Sequence[BaseProcess]) -> list[Any]:
    """Wait for a result, and end the pool when a decoder has died.

    If that was while it handed over images, the pool would wait for the rest of them until nobody can write any more,
    and this process could as well.
    """
    while True:
        with suppress(TimeoutError):
            return future.result(timeout=_LOOK_EVERY)
        if not all(decoder.is_alive() for decoder in decoders):
            _kill(decoders)
            pool._result_queue._writer.close()  # type: ignore[attr-defined]


def _kill(decoders: Sequence[BaseProcess]) -> None:
    for decoder in decoders:
        decoder.kill()
