"""The tests marked `gpu`, and what pytest had decided by the time that it ended or was killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.benchmarks.data import REPOSITORY

_OUTCOMES = {"FAILED": "failure", "ERROR": "error", "SKIPPED": "skipped"}
# As pytest -v writes it: the name when a test begins and, on the same line, what came of it when it ends.
_ENDED = re.compile(r"^(\S+\.py::.+?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b", re.MULTILINE)
_RUNNING = re.compile(r"^(\S+\.py::.+?) ?\Z", re.MULTILINE)


def modules() -> list[Path]:
    """Return the modules that have tests marked `gpu`, as to collect all would take longer than to run these."""
    files = sorted((REPOSITORY / "tests/unit").rglob("test_*.py"))
    return [file for file in files if re.search(r"pytest\.mark\.gpu\b", file.read_text(encoding="utf-8"))]


def run_tests(modules: Sequence[Path], log: Path, limit: float) -> Iterator[dict[str, Any]]:
    """Run the tests marked `gpu` of some modules, and yield once a second what is decided, at last with the end.

    After `limit` seconds pytest is killed, with all that it started: a test that waits for a GPU hears no other signal.
    What the environment adds to pytest's options is for the pytest that was called by hand, and left out.
    """
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-v", "--color=no", "-p", "no:cacheprovider"]
    kill_at = time.monotonic() + limit
    with log.open("wb") as stream:
        pytest = subprocess.Popen(
            [*command, *map(str, modules)],
            cwd=REPOSITORY,
            env={name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while pytest.poll() is None and time.monotonic() < kill_at:
                yield decided(log)
                time.sleep(min(1, max(0, kill_at - time.monotonic())))
            ended = pytest.poll()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(pytest.pid, signal.SIGKILL)
            pytest.wait()
    print(log.read_text(encoding="utf-8", errors="replace"), flush=True)
    yield {**decided(log), "exit_status": ended, "killed_after": limit if ended is None else None}


def decided(log: Path) -> dict[str, Any]:
    """Return how many tests have ended, which of them failed or were skipped, and which one is running."""
    said = log.read_text(encoding="utf-8", errors="replace")
    outcomes = _ENDED.findall(said)
    named = {key: [name for name, outcome in outcomes if outcome == word] for word, key in _OUTCOMES.items()}
    return {"tests": len({name for name, _ in outcomes}), **named, "unfinished": _RUNNING.findall(said)}
