"""`watch` shows the steps that run, and no other."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.locks import is_locked
from simclr_steps.machine.watch import overview, watch
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from tests.unit.conftest import digits
from tests.unit.step_processes import start

SETTINGS = PretrainSettings(
    epochs=10_000, global_batch_size=32, projection_head=ProjectionHead(hidden_size=8, output_size=4)
)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.1)


def test_running_pretraining_is_shown_with_its_progress_until_it_is_killed(
    tmp_path: Path, write_packed: Callable[..., Path]
) -> None:
    logs = tmp_path / "logs"
    log = logs / "digits" / "simclr" / "seed0" / "pretrain.log"
    data = write_packed({"train": digits(64), "validation": digits(8), "unlabeled": digits(0)})
    arguments = ["--settings", SETTINGS.model_dump_json(), "--data", str(data), "--seed", "0", "--gpus", "0"]
    places = ["--out", str(tmp_path / "results" / "out"), "--work", str(tmp_path / "work"), "--log", str(log)]
    process = start(["pretrain", *arguments, *places], tmp_path)
    try:
        wait_for(lambda: "after epoch" in "".join(overview(logs)))
        name, words = overview(logs)
        assert re.fullmatch(r"digits/simclr/seed0/pretrain, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(\d+ s\)", name)
        assert re.fullmatch(r"    \d\d:\d\d:\d\d after epoch \d+/10000, loss .* images/s, .* left", words)
    finally:
        process.kill()
        process.join()
    assert log.stat().st_size > 0 and overview(logs) == ["nothing is running"]


def test_watching_takes_half_a_second_and_no_torch(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    code = (
        "import sys; from simclr_steps.__main__ import main; main();"
        "print(sorted(m for m in sys.modules if m in ('torch', 'numpy', 'pandas')))"
    )
    seconds = []
    for _ in range(3):
        before = of_children()
        command = [sys.executable, "-c", code, "watch", str(tmp_path / "results")]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds.append(of_children() - before)
        assert ended.stdout == "nothing is running\n[]\n"
    assert min(seconds) < 1.0  # promised: 0.5 s on a quiet machine, of which nearly all are computed


def of_children() -> float:
    """Return the seconds of CPU time of all processes that have ended: other work on the machine does not count."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_terminal_is_drawn_again_until_the_user_stops_it(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    ours, theirs = pty.openpty()
    # Who started the tests in the background has them, and what they start, ignore a Ctrl-C.
    start = ["env", "--default-signal=INT", sys.executable, "-m", "simclr_steps"]
    with subprocess.Popen([*start, "watch", str(tmp_path / "results")], stdout=theirs) as process:
        seen = b""
        while seen.count(b"nothing is running") < 2:
            seen += os.read(ours, 1000)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
    assert seen.count(b"\x1b[H\x1b[J") == 2


def test_step_that_starts_while_it_is_looked_at_is_shown_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "a.log"
    file.parent.mkdir()
    file.touch()
    code = (
        "import sys, time; from pathlib import Path; from simclr_steps.machine.logs import start_logging;"
        "start_logging('a', Path(sys.argv[1])); print('started', flush=True); time.sleep(60)"
    )
    with file.open("r+b") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_EX)  # as watch does for an instant
        with subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE) as process:
            assert process.stdout
            try:
                time.sleep(0.5)
                fcntl.flock(looked_at, fcntl.LOCK_UN)
                process.stdout.readline()
                assert is_locked(file)
                assert overview(tmp_path / "logs")[1] == "    starting"
            finally:
                process.kill()


def test_folder_without_logs_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="logs does not exist: pass the results folder"):
        watch(tmp_path / "results")
