"""Steps on one machine take different GPUs, unless somebody has chosen for them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simclr_steps.machine import gpus
from simclr_steps.machine.gpus import machine_shows_gpu

REPOSITORY = Path(__file__).parents[3]
STEP = """
import os, subprocess, sys
from simclr_steps.machine.gpus import take_gpus

for _ in range(2):
    take_gpus(int(sys.argv[1]), available=2)
child = [sys.executable, "-c", "import os; print(os.environ.get('CUDA_VISIBLE_DEVICES'), flush=True)"]
subprocess.run(child)
sys.stdin.read()
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a step on a machine with two GPUs; it lives until the test ends."""
    steps = []

    def start(gpus: int, **environment: str) -> subprocess.Popen[str]:
        inherited = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
        step = subprocess.Popen(
            [sys.executable, "-c", STEP, str(gpus)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**inherited, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(tmp_path), **environment},
        )
        steps.append(step)
        return step

    yield start
    for step in steps:
        step.communicate()


def seen(step: subprocess.Popen[str]) -> str:
    """Return CUDA_VISIBLE_DEVICES of a process that the step started."""
    assert step.stdout
    return step.stdout.readline().strip()


def test_two_steps_take_different_gpus_and_a_killed_one_gives_its_own_back(start: Start) -> None:
    first, second = start(1), start(1)
    taken = [seen(first), seen(second)]
    assert sorted(taken) == ["0", "1"]
    first.kill()
    first.wait()
    assert seen(start(1)) == taken[0]


def test_a_step_takes_as_many_as_it_asks_for(start: Start) -> None:
    assert seen(start(0)) == "None"
    assert seen(start(2)) == "0,1"


def test_if_gpus_run_out_one_is_shared_with_a_warning(start: Start) -> None:
    assert seen(start(1)) == "0"
    third = start(2)
    assert seen(third) == "1,0"
    assert "warning: all GPUs are in use by other steps" in third.communicate()[1]


def test_what_a_scheduler_or_the_user_chose_stays(start: Start) -> None:
    assert [seen(start(1, CUDA_VISIBLE_DEVICES=chosen)) for chosen in ("5", "5", "")] == ["5", "5", ""]


ONE = "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-0000-0000-0000-000000000000)"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (f"echo '{ONE}'", True),
        (f"echo '{ONE}'; sleep 5 &", True),
        (f"echo '{ONE}'; exit 9", False),
        ("echo 'Unable to determine the device handle for GPU 0000:01:00.0: Unknown Error'", False),
        ("echo 'No devices were found'", False),
        ("printf '\\377\\376GPU'", False),
    ],
)
def test_a_machine_has_a_gpu_if_its_driver_lists_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: bool
) -> None:
    install_nvidia_smi(tmp_path, monkeypatch, script)
    assert machine_shows_gpu() is expected


@pytest.mark.parametrize("visible", ["0", "1,0", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "MIG-GPU-8932f937/1/0"])
def test_gpus_that_are_chosen_are_there(monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine_shows_gpu() is True


@pytest.mark.parametrize("visible", ["", " ", "-1", "-1,0", "NoDevFiles", "none"])
def test_gpus_that_are_hidden_are_not_there(monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine_shows_gpu() is False


def test_a_driver_that_hangs_or_may_not_be_asked_counts_as_no_gpu_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program = install_nvidia_smi(tmp_path, monkeypatch, "sleep 1000 & exec sleep 1000")
    monkeypatch.setattr(gpus, "_SECONDS_TO_ANSWER", 0.5)
    assert machine_shows_gpu() is False
    assert os.environ.pop("CUDA_VISIBLE_DEVICES") == ""  # for what this process starts
    program.write_text("no program")
    assert machine_shows_gpu() is False
    program.unlink()
    assert machine_shows_gpu() is False
    assert [line.split(" because ")[1] for line in caplog.messages] == [
        "nvidia-smi did not answer within 0.5 s",
        "nvidia-smi cannot be run: Exec format error",
    ]


def install_nvidia_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    return program
