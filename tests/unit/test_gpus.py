"""Steps on one machine take different GPUs, unless somebody has chosen for them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
STEP = """
import os, subprocess, sys
from simclr_steps.gpus import take_gpus

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


def test_one_gpu_too_few_is_shared_and_said(start: Start) -> None:
    assert seen(start(1)) == "0"
    third = start(2)
    assert seen(third) == "1,0"
    assert "warning: other steps use all GPUs" in third.communicate()[1]


def test_what_a_scheduler_or_the_user_chose_stays(start: Start) -> None:
    assert [seen(start(1, CUDA_VISIBLE_DEVICES=chosen)) for chosen in ("5", "5", "")] == ["5", "5", ""]
