"""The trainer computes as it was asked to, and lets no process go unnoticed."""

from __future__ import annotations

import pytest
import torch

from simclr_steps.machine.options import Hardware
from simclr_steps.training.trainer import build_trainer


@pytest.mark.parametrize(
    ("precision", "lightning", "tf32"),
    [("fp32", "32-true", False), ("tf32", "32-true", True), ("bf16", "bf16-mixed", False)],
)
def test_trainer_computes_in_the_precision_that_was_asked_for(precision: str, lightning: str, tf32: bool) -> None:
    trainer = build_trainer(Hardware(gpus=0).claim(), precision=precision)
    assert trainer.precision == lightning
    assert torch.backends.cudnn.allow_tf32 is tf32 and torch.backends.cuda.matmul.allow_tf32 is False
