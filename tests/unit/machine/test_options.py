"""What a step claims is what it asked for, or it is told what cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from simclr_steps.machine import gpus, options
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Devices, Hardware


def test_processes_and_nodes_are_claimed_as_asked_for() -> None:
    devices = Hardware(gpus=0, processes=4, nodes=2, workers=3, compile="never").claim()
    assert devices == Devices(gpus=0, processes=4, nodes=2, workers=3, compile="never")
    assert devices.device == torch.device("cpu")


def test_unasked_a_step_takes_one_gpu_if_there_is_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")  # what a scheduler chose is not chosen again
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(options, "obstacle", lambda: None)
    assert Hardware(processes=4).claim() == Devices(gpus=1, processes=1, nodes=1, workers=None, compile="auto")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert Hardware(processes=4).claim() == Devices(gpus=0, processes=4, nodes=1, workers=None, compile="auto")


@pytest.mark.parametrize(
    ("hardware", "sentence"),
    [
        (Hardware(gpus=99), r"^--gpus 99 exceeds the \d+ available GPUs: request fewer$"),
        (Hardware(gpus=0, processes=3, nodes=2), "^3 processes cannot be divided evenly among 2 nodes: request a"),
    ],
)
def test_unavailable_hardware_is_reported_in_one_sentence(hardware: Hardware, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        hardware.claim()


CLAIM = """
import logging
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
logging.basicConfig(format="%(message)s")
print(Hardware().claim().gpus)
Hardware(gpus=0).claim()
try:
    Hardware(gpus=1).claim()
except UserError as error:
    print(error)
"""
UUID = "GPU-00000000-0000-0000-0000-000000000000"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("shown_by", ["driver", "variable"])
def test_a_gpu_that_torch_cannot_use_is_ignored_unless_it_was_requested(tmp_path: Path, shown_by: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PATH": f"{tmp_path}:/usr/bin:/bin"}
    if shown_by == "variable":
        environment["CUDA_VISIBLE_DEVICES"] = "0"
    else:
        environment.pop("CUDA_VISIBLE_DEVICES", None)
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\necho 'GPU 0: NVIDIA H100 (UUID: {UUID})'\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    command = [sys.executable, "-c", CLAIM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert lines == ["0", "--gpus 1 exceeds the 0 available GPUs: request fewer"], done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("warning:")]
    assert len(said) == 1
    assert said[0].startswith("warning: continuing without a GPU because torch cannot use the one it sees: ")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_was_asked_for_and_is_counted_but_cannot_be_used_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # as of a driver that is too old
    with pytest.raises(UserError, match=r"^--gpus 1: torch cannot use the GPU \(.*[^.]\): fix this, or pass --gpus 0$"):
        Hardware(gpus=1).claim()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_torch_does_not_ask_a_driver_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexec sleep 1000\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(gpus, "_SECONDS_TO_ANSWER", 0.2)

    def device_count() -> int:
        assert os.environ.get("CUDA_VISIBLE_DEVICES") == "", "torch would hang"
        return 0

    monkeypatch.setattr(torch.cuda, "device_count", device_count)
    assert Hardware().claim().gpus == 0
