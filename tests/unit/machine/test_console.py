"""On a terminal progress is a bar below the lines; of the steps that share it one draws a bar at a time."""

from __future__ import annotations

import logging
import os
import pty
import termios
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TextIO

import pytest

from simclr_steps.machine.console import Console

Terminal = tuple[TextIO, Callable[[], str]]
CLEAR = "\r\x1b[K"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """Return a terminal of 40 columns, and what reads it."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 40))
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, "w") as stream:

        def read() -> str:
            stream.write("|")
            stream.flush()
            seen = ""
            while not seen.endswith("|"):
                seen += os.read(ours, 1000).decode()
            return seen[:-1].replace("\r\n", "\n")

        yield stream, read
    os.close(ours)


def say(console: Console, text: str, **extra: Any) -> None:
    record = logging.makeLogRecord({"msg": f"12:00:00 {text}", **extra})
    if console.filter(record):
        console.handle(record)


def test_a_bar_is_drawn_in_place_and_lines_take_its_place(terminal: Terminal) -> None:
    stream, read = terminal
    console = Console(stream)
    assert console.is_terminal
    say(console, "epoch 1, with many word", share=0.25, in_passing=True)
    say(console, "epoch 2", share=0.5, in_passing=False)
    say(console, "warning: something")
    say(console, "epoch 4", share=1.0, in_passing=False)
    bars = [f"{CLEAR}[##......]  25% epoch 1, with many word", f"{CLEAR}[##########..........]  50% epoch 2"]
    assert read() == "".join([*bars, f"{CLEAR}12:00:00 warning: something\n", CLEAR, f"{CLEAR}12:00:00 epoch 4\n"])


def test_another_step_writes_lines_until_the_bar_is_complete(terminal: Terminal) -> None:
    stream, read = terminal
    first, second = Console(stream), Console(stream)
    say(first, "first", share=0.5, in_passing=True)
    say(second, "second in passing", share=0.5, in_passing=True)
    say(second, "second", share=0.6, in_passing=False)
    assert read().endswith(f"50% first{CLEAR}12:00:00 second\n")
    say(first, "first", share=1.0, in_passing=True)
    say(second, "second", share=0.7, in_passing=True)
    assert read() == f"{CLEAR}{CLEAR}[##############......]  70% second"


def test_lines_only_where_the_terminal_can_do_no_more(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream, read = terminal
    console = Console(stream)
    say(console, "in passing", share=0.5, in_passing=True)
    say(console, "a line", share=0.5, in_passing=False)
    assert not console.is_terminal and read() == "12:00:00 a line\n"


def test_a_terminal_that_is_closed_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    monkeypatch.setattr(logging, "raiseExceptions", False)  # which logging itself would print
    stream = os.fdopen(theirs, "w")
    console = Console(stream)
    os.close(ours)
    say(console, "epoch 1", share=0.25, in_passing=True)
    assert not console.is_terminal
    say(console, "epoch 2", share=0.5, in_passing=False)
    with suppress(OSError):  # of what could not be written
        stream.close()
