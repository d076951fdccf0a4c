"""A lock is seen by other processes, and ends with the process that holds it, however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from simclr_steps.machine.locks import has_name, is_locked, try_lock

HOLD = """
import sys, time
from simclr_steps.machine.locks import wait_for_lock
file = open(sys.argv[1], "w")
wait_for_lock(file, "holds", sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_is_anothers_until_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        assert is_locked(path)
        with path.open() as file:
            assert not try_lock(file)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert not is_locked(path)
    with path.open() as file:
        assert try_lock(file) and has_name(file)
        path.unlink()
        assert not has_name(file)
