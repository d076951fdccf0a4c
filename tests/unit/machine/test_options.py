"""What a step claims is what it asked for, or it is told what cannot be had."""

from __future__ import annotations

import pytest
import torch

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Devices, Hardware


def test_processes_and_nodes_are_claimed_as_asked_for() -> None:
    devices = Hardware(gpus=0, processes=4, nodes=2, workers=3, compile="never").claim()
    assert devices == Devices(gpus=0, processes=4, nodes=2, workers=3, compile="never")
    assert devices.device == torch.device("cpu")


def test_unasked_a_step_takes_one_gpu_if_there_is_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")  # what a scheduler chose is not chosen again
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
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
def test_what_cannot_be_had_is_one_sentence(hardware: Hardware, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        hardware.claim()
