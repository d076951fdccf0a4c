"""The longest tests run first, so that several processes end together; tests/conftest.py puts them in order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
TESTS = """
import pytest

def test_short(): pass
@pytest.mark.slow
def test_slow(): pass
@pytest.mark.slow(100)
def test_slower(): pass
@pytest.mark.slow(200)
def test_slowest(): pass
def test_last(): pass
"""


def test_the_longest_run_first_and_all_others_in_the_order_of_their_files(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--rootdir", str(tmp_path), str(tmp_path)]
    command += ["--collect-only", "-q"]
    plain = {**os.environ, "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=REPOSITORY, env=plain, capture_output=True, text=True, check=True)
    found = [line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line]
    assert found == ["test_slowest", "test_slower", "test_short", "test_slow", "test_last"]
