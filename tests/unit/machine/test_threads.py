"""A library's thread may fail without a traceback where what waits for it tells the cause; no other may."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from simclr_steps.machine.threads import quiet_threads


def test_only_what_nobody_expects_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda failed: told.append(str(failed.exc_value)))
    with quiet_threads(is_of("writer")) as written, quiet_threads(is_of("reader")) as read:
        for name in ("writer", "reader", "other"):
            fail(name)
    fail("writer")
    assert told == ["other failed", "writer failed"]
    assert [[str(failed.exc_value) for failed in quiet] for quiet in (written, read)] == [
        ["writer failed"],
        ["reader failed"],
    ]


def fail(name: str) -> None:
    def run() -> None:
        raise OSError(f"{name} failed")

    thread = threading.Thread(target=run, name=name)
    thread.start()
    thread.join()


def is_of(name: str) -> Callable[[threading.ExceptHookArgs], bool]:
    return lambda failed: failed.thread is not None and failed.thread.name == name
