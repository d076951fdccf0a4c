"""What hangs on a GPU is killed, and costs nothing that was found without it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from simclr_steps.machine.errors import UserError
from tests.benchmarks.data import REPOSITORY
from tests.benchmarks.marked_tests import run_tests
from tests.benchmarks.turns import in_turns
from tests.benchmarks.waiting import wait_until

# With a file in the place of stderr. As text, since to import this module would take some of the contestant's time.
HANGS = """
import os, sys
os.dup2(os.open("{said}", os.O_WRONLY | os.O_CREAT), sys.stderr.fileno())
os.system("echo $$ > {started}; while true; do sleep 1; done")
"""


@pytest.mark.slow
def test_a_contestant_that_hangs_tells_where_and_dies_with_all_that_it_started(tmp_path: Path) -> None:
    said, started = tmp_path / "said", tmp_path / "started"
    contestants = {
        "hangs": (exec, HANGS.format(said=said, started=started)),
        "dies": (os._exit, 3),
        "raises": (int, "x"),
        "refuses": (refuse,),
        "returns": (int, "7"),
    }
    turns = [(turn.name, turn.value, turn.failure) for turn in in_turns(contestants, rounds=2, limit=2)]
    assert turns == [
        ("hangs", None, "took more than 2 s and was killed"),
        ("dies", None, "its process died with exit status 3"),
        ("raises", None, "ValueError(\"invalid literal for int() with base 10: 'x'\")"),
        ("refuses", None, "make it smaller"),
        ("returns", 7, ""),
        ("returns", 7, ""),
    ]
    wait_until(lambda: not is_running(int(started.read_text())))
    assert said.read_text().count("Timeout (") == 1 and "in _serve" in said.read_text()


BENCHMARK = """
from tests.benchmarks import bench, commands, data, throughput, turns

def part(folder, options):
    for _ in turns.in_turns({"waits for its second turn": (int, "7")}, 2):
        commands.train_for(60, data.digits(folder / "digits"), throughput.settings(16, 10**6))

bench.PARTS = {"part": part}
bench.main()
"""


@pytest.mark.slow
def test_nothing_of_a_benchmark_lives_on_when_what_started_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMCLR_TEST_MARK", str(tmp_path))  # in all that it starts
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    shell = subprocess.Popen(["sh", "-c", '"$@"; exit 1', "sh", sys.executable, "-c", BENCHMARK], cwd=REPOSITORY)
    try:  # the shell, the benchmark, what multiprocessing starts for it, one that waits for its turn, and a step
        wait_until(lambda: any(tmp_path.rglob("packed/dataset.json")) and len(marked(tmp_path)) == 6, seconds=300)
    finally:
        shell.kill()
        shell.wait()
    wait_until(lambda: not marked(tmp_path), seconds=60)


def marked(mark: Path) -> list[int]:
    """Return the processes whose environment holds a mark."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"SIMCLR_TEST_MARK={mark}\0".encode() in (place / "environ").read_bytes():
                found.append(int(place.name))
    return found


def refuse() -> None:
    raise UserError("make it smaller")


def is_running(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


TESTS = """
import time, pytest
pytestmark = pytest.mark.gpu

def test_passes(): pass
def test_fails(): assert False
@pytest.mark.parametrize("text", ["two words"])
def test_is_skipped(text): pytest.skip("no reason")
def test_hangs(): time.sleep(3600)
def test_after_it(): pass
"""


@pytest.mark.slow
def test_pytest_is_killed_at_its_limit_and_what_it_had_decided_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--an-option-of-the-caller")
    module = tmp_path / "test_some.py"
    module.write_text(TESTS)
    found = list(run_tests([module], tmp_path / "log", limit=30))[-1]
    assert found["tests"] == 3 and found["exit_status"] is None and found["killed_after"] == 30
    names = {key: [name.partition("::")[2] for name in found[key]] for key in ("failure", "skipped", "unfinished")}
    assert names == {"failure": ["test_fails"], "skipped": ["test_is_skipped[two words]"], "unfinished": ["test_hangs"]}

    module.write_text(TESTS.replace("3600", "0"))
    found = list(run_tests([module], tmp_path / "log", limit=60))[-1]
    assert found["tests"] == 5 and found["exit_status"] == 1 and found["unfinished"] == []
