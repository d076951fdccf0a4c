"""A step's process ends in no time, and still cleans up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

PROGRAM = """
import atexit, multiprocessing, signal, sys, tempfile, time

from simclr_steps.machine.exits import exit_at_once

class Deleted:
    def __del__(self):
        print("deleted")

if __name__ == "__main__":
    deleted = Deleted()
    atexit.register(print, "registered")
    temporary = tempfile.TemporaryDirectory()
    reader = multiprocessing.get_context("spawn").Process(target=time.sleep, args=[600], daemon=True)
    if {deaf}:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as one that is stopped is
    reader.start()
    print(temporary.name, reader.pid)
    {end}(3)
"""


@pytest.mark.parametrize(
    ("end", "deleted", "deaf"),
    [("sys.exit", ["deleted"], False), ("exit_at_once", [], False), ("exit_at_once", [], True)],
)
def test_nothing_is_deleted_at_the_end_but_temporary_files_and_processes_are(
    tmp_path: Path, end: str, deleted: list[str], deaf: bool
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.format(end=end, deaf=deaf))
    command = [sys.executable, str(tmp_path / "program.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (3, "")
    (first, *others) = done.stdout.splitlines()
    folder, reader = first.split()
    assert others == ["registered", *deleted]
    assert not Path(folder).exists() and not Path(f"/proc/{reader}").exists()


def test_output_that_cannot_be_written_is_no_success(tmp_path: Path) -> None:
    code = "from simclr_steps.machine.exits import exit_at_once; print('lost'); exit_at_once(0)"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, check=False, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == os.EX_IOERR


@pytest.mark.parametrize(
    "command", [[sys.executable, "-m", "simclr_steps"], [Path(sys.executable).with_name("simclr")]]
)
def test_a_steps_process_ends_so(tmp_path: Path, command: list[str | Path]) -> None:
    (tmp_path / "work").mkdir()
    environment = {**os.environ, "PYTHONVERBOSE": "1"}  # Python names what it deletes
    done = subprocess.run(
        [*command, "prune"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "import 'simclr_steps.machine.exits'" in done.stderr and "# cleanup" not in done.stderr
