"""GPU.md says what the benchmark does, and what is expected of it is counted right."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.benchmarks import expected, gpu
from tests.benchmarks.counting import Counter, Operation
from tests.benchmarks.data import REPOSITORY


def test_the_plan_has_the_table_that_the_command_prints() -> None:
    plan = (REPOSITORY / "tests/benchmarks/GPU.md").read_text()
    assert expected.markdown() in plan, "replace it by the output of python -m tests.benchmarks.expected"


def test_the_plans_commands_are_the_benchmarks() -> None:
    plan = (REPOSITORY / "tests/benchmarks/GPU.md").read_text()
    head = re.findall(r'G="python3 -m tests.benchmarks.gpu (.*)"', plan)
    commands = re.findall(r"\$G ([^;`]*)", plan)
    (own,) = re.findall(r"python -m tests.benchmarks.gpu ([^`]*)\n```", plan)
    assert len(head) == 1 and len(commands) >= 5
    own = own.replace("$(git rev-parse HEAD)", "COMMIT").replace("\\\n", "")
    for command in (own, *(f"{head[0]} {command}" for command in commands)):
        gpu.parse(shlex.split(command))
    with pytest.raises(SystemExit):
        gpu.parse(shlex.split(f"{head[0]} no_such_part"))


@pytest.mark.parametrize("ended", [0, 75])
def test_the_plan_returns_the_encoder_and_keeps_the_exit_status(tmp_path: Path, ended: int) -> None:
    plan = (REPOSITORY / "tests/benchmarks/GPU.md").read_text()
    (back,) = re.findall(r"^back\(\) .*", plan, re.MULTILINE)
    encoder = tmp_path / "cifar10/resnet18_100-seed0-never-0123abcd/encoder.safetensors"
    encoder.parent.mkdir(parents=True)
    encoder.write_bytes(b"weights")
    script = f"{back.replace('/tmp/gpu-work', str(tmp_path))}\n(exit {ended}); back cifar10/resnet18_100"
    done = subprocess.run(["bash", "-c", script], env={**os.environ, "OUT": str(tmp_path)}, check=False)
    assert done.returncode == ended and (tmp_path / "encoder.aa").read_bytes() == b"weights"


def test_operations_flops_and_bytes_are_counted_and_views_are_free() -> None:
    with FakeTensorMode():
        a, b, bias = torch.empty(2, 3), torch.empty(3, 4), torch.empty(4, dtype=torch.bfloat16)
        with Counter() as counter:
            (a @ b).t().expand(5, 4, 2).add_(1)
            bias[:, None] * bias
    assert counter.operations == [
        Operation(flops=2 * 2 * 3 * 4, moved_bytes=4 * (6 + 12 + 8), bf16=False),
        Operation(flops=0, moved_bytes=4 * (8 + 8), bf16=False),
        Operation(flops=0, moved_bytes=2 * (4 + 4 + 16), bf16=True),
    ]


def test_an_operation_takes_the_longer_of_its_flops_and_its_bytes() -> None:
    gpu = expected.Device("slow", bf16=1e6, fp32=1e3, bandwidth=1e3)
    product, copy = Operation(flops=600, moved_bytes=8, bf16=False), Operation(flops=0, moved_bytes=800, bf16=True)
    assert expected.milliseconds([product, copy], gpu) == pytest.approx(1000 + 1000)
