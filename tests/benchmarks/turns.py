"""Contestants run in turns, each in a process of its own, so that one that hangs or crashes costs no other its figures.

In turns, so that timings that drift do so for all alike.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from simclr_steps.machine.errors import UserError

Call = tuple[Any, ...]  # a function and its arguments
_SECONDS_TO_DIE = 10
_SHARE_UNTIL_TOLD = 0.9  # of the seconds left to a contestant, which then writes where it stands


@dataclass(frozen=True)
class Turn:
    """What came of a contestant's turn: what its function returned, or why it returned nothing."""

    name: str
    value: Any = None
    failure: str = ""


def in_turns(contestants: Mapping[str, Call], rounds: int = 1, limit: float | None = None) -> Iterator[Turn]:
    """Yield what each contestant returns in each round; one that fails has no more turns.

    A process serves one contestant for all rounds, forked from a server that has imported torch. A contestant fails
    when it raises, when its process dies, or when its turns take more than `limit` seconds in all: then its process is
    killed, and all that it started, after it has written to stderr where it stands.
    """
    with ExitStack() as stack:
        processes = {name: stack.enter_context(closing(_Process(call, limit))) for name, call in contestants.items()}
        for _ in range(rounds):
            for name in list(processes):
                value, failure = processes[name].call()
                if failure:
                    processes.pop(name).close()
                yield Turn(name, value, failure)


def in_own_process(*call: Any, limit: float | None = None) -> Any:
    """Return what a function returns in a process of its own.

    Raises RuntimeError when it fails as a contestant does.
    """
    (turn,) = in_turns({"": call}, limit=limit)
    if turn.failure:
        raise RuntimeError(turn.failure)
    return turn.value


class _Process:
    def __init__(self, call: Call, limit: float | None) -> None:
        server = multiprocessing.get_context("forkserver")
        server.set_forkserver_preload(
            ["tests.benchmarks.throughput", "simclr_steps.steps.evaluate", "simclr_steps.steps.finetune"]
        )
        self._limit, self._spent = limit, 0.0
        self._pipe, theirs = server.Pipe()
        self._process = server.Process(target=_serve, args=(theirs, *call))
        self._process.start()
        theirs.close()  # so that its end is seen here

    def call(self) -> tuple[Any, str]:
        """Return what the function returned, and why it failed if it did."""
        started = time.monotonic()
        left = None if self._limit is None else max(0.0, self._limit - self._spent)
        try:
            self._pipe.send(left)
            if not self._pipe.poll(left):
                return None, f"took more than {self._limit:.0f} s and was killed"
            value, failure = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(_SECONDS_TO_DIE)
            return None, f"its process died with exit status {self._process.exitcode}"
        self._spent += time.monotonic() - started
        return value, failure

    def close(self) -> None:
        """Kill the process and what it started: nothing else ends one that waits for a GPU."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.kill()  # where it had not come to lead a group
        self._process.join(_SECONDS_TO_DIE)
        self._pipe.close()


def _serve(pipe: Connection, function: Callable[..., Any], *arguments: Any) -> None:
    """Call a function whenever asked to, as the leader of a process group that dies with the benchmark."""
    os.setsid()
    threading.Thread(target=_die_with_benchmark, daemon=True).start()
    while True:
        left = pipe.recv()
        if left:
            faulthandler.dump_traceback_later(_SHARE_UNTIL_TOLD * left)
        try:
            answer = function(*arguments), ""
        except UserError as error:
            answer = None, str(error)
        except Exception as error:
            traceback.print_exc()
            answer = None, repr(error)
        faulthandler.cancel_dump_traceback_later()
        pipe.send(answer)


def _die_with_benchmark() -> None:
    """Kill this process group when the benchmark is gone; the server, its parent, lives as long as any of its children.

    One that is killed itself may not leave the GPU to a contestant that nothing ends.
    """
    benchmark = multiprocessing.parent_process()
    if benchmark:
        benchmark.join()
    os.killpg(0, signal.SIGKILL)
