"""Long work says how far it is: not too often, and with a rate that is never 0."""

from __future__ import annotations

import logging
import re
from types import SimpleNamespace

import pytest

from simclr_steps.machine import progress as progress_module
from simclr_steps.machine.progress import Bar, Cadence, Progress


def test_progress_reports_done_rate_and_time_left(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        progress = Progress("packed", 400, every=0, growth=0)
        progress.add(0)
        progress.add(60)
        progress.add(40)
    assert re.fullmatch(r"packed 100 of 400 images, [\d,]+ images/s, 0 s left", caplog.messages[-1])


def test_progress_is_told_no_more_often_than_asked(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        progress = Progress("packed", 400, every=1000)
        for _ in range(400):
            progress.add(1)
    assert caplog.messages == []


def test_slow_work_of_ten_hours_says_at_most_200_lines_and_its_true_rate(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    with caplog.at_level(logging.INFO):
        progress = Progress("packed", 3600)
        for _ in range(3600):
            clock.now += 10
            progress.add(1)
    assert 100 < len(caplog.messages) <= 200
    assert caplog.messages[0] == "packed 1 of 3600 images, 0.1 images/s, 9 h 59 min left"


def test_distances_grow_with_the_time_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    assert Cadence(5.0, at_once=True).is_due()
    cadence, said = Cadence(5.0, 0.5), []
    for clock.now in range(100):
        if cadence.is_due():
            said.append(clock.now)
            cadence.note()
    assert said == [5, 10, 20, 40, 80]


def test_no_bar_is_due_where_the_console_is_no_terminal() -> None:
    bar = Bar()
    assert not bar.is_shown and not bar.is_due()
