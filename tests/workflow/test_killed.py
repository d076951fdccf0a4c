"""Snakemake is killed, and its local steps end with it, so that they write over nothing that the next one makes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from simclr_steps.files import read_json
from simclr_steps.machine.locks import is_locked
from tests.workflow.conftest import Project


@pytest.mark.slow
def test_steps_end_with_a_snakemake_that_is_killed(fresh: Project) -> None:
    pretrain = fresh.config["pretrains"]["simclr"]
    pretrain |= {"encoder": "timm:test_resnet", "epochs": 100_000}
    fresh.write_config()
    log = fresh.folder / "logs/digits/simclr/seed0/pretrain.log"
    options = ["--cores", "2", "--rerun-incomplete", "pretrain_all"]
    with (fresh.folder / "said.txt").open("w") as said:
        running = subprocess.Popen(
            [sys.executable, "-m", "snakemake", *options],
            cwd=fresh.folder,
            stdout=said,
            stderr=said,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
            start_new_session=True,
        )
        try:
            until = time.monotonic() + 300
            while not log.exists() or "after epoch" not in log.read_text():
                assert running.poll() is None and time.monotonic() < until, (fresh.folder / "said.txt").read_text()
                time.sleep(0.1)
            assert is_locked(log)
        finally:
            running.send_signal(signal.SIGKILL)
    try:
        ended(log)
    finally:
        with suppress(ProcessLookupError):  # as all have ended
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    assert "stopped (SIGTERM), saved at step" in log.read_text()

    pretrain["epochs"] = 1
    fresh.write_config()
    assert fresh.forked_snakemake("--unlock").returncode == 0
    done = fresh.forked_snakemake(*options, warm=True)
    assert done.returncode == 0, done.stdout + done.stderr
    made = fresh.folder / "results/digits/simclr/seed0/pretrain"
    assert read_json(made / "run.json")["settings"]["epochs"] == 1
    assert sorted(path.name for path in made.parent.iterdir()) == ["pretrain"], "and no lock file is left"


def ended(log: Path) -> None:
    """Wait for the end of the step that writes a log, before anybody asks what became of Snakemake."""
    until = time.monotonic() + 60
    while is_locked(log):
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)
