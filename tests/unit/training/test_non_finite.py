"""Numbers that are not finite stop a training before anything is made of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.training.checked_files import CheckedFiles
from tests.unit.step_processes import said, start
from tests.unit.stoppable_trainings import arguments, checkpoint, folder_for

COUNTS_STEPS = """
import torch
from torch import nn


class CountsSteps(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.linear = nn.Linear(channels * 64, 8)
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, x):
        self.steps += self.training
        features = self.linear(x.flatten(1))
        FAULT


def encoder(channels, image_size):
    return CountsSteps(channels)
"""

DIVERGING = COUNTS_STEPS.replace(
    "FAULT", 'return features * (float("nan") if self.training and self.steps == 13 else 1.0)'
)
DIVERGING += "\n\ndef same(views, keys):\n    return views\n"

LATE = COUNTS_STEPS.replace(
    "FAULT",
    """if self.training and self.steps == 5:
            features.register_hook(lambda gradient: gradient * float("nan"))
        return features if self.training or not x.any() else features * BLIND""",
)


@pytest.mark.parametrize("step", ["pretrain", "finetune"])
def test_weights_that_the_last_update_spoils_are_never_published(tmp_path: Path, data: Path, step: str) -> None:
    folder = folder_for(tmp_path, "out")
    (data.parent / "late.py").write_text(LATE.replace("BLIND", "1.0"))
    shutil.copy(data.parent / "late.py", folder)
    command = arguments(step, data, encoder="late:encoder", epochs=1)
    process = start(command, folder)
    process.join()
    assert process.exitcode == 1 and not (folder / "out").exists(), said(folder)
    assert "the loss or the weights are not finite at step 5 (epoch 1): lower learning_rate" in said(folder)


def test_a_hold_out_that_is_measured_as_not_finite_stops_before_any_candidate_is_made(
    tmp_path: Path, data: Path
) -> None:
    folder = folder_for(tmp_path, "out")
    (folder / "late.py").write_text(LATE.replace("BLIND", 'float("nan")').replace("== 5", "== -1"))
    process = start(arguments("pretrain", data, encoder="late:encoder", epochs=2), folder)
    process.join()
    assert process.exitcode == 1 and not (folder / "out").exists(), said(folder)
    assert "validate_loss of the hold-out is not finite after epoch 1: lower learning_rate" in said(folder)


@pytest.mark.parametrize(("saving", "kept_step"), [(["--save-minutes", "0"], 12), (["--save-epochs", "1"], 10)])
def test_a_loss_that_is_not_finite_stops_at_its_step_and_keeps_the_last_good_checkpoint(
    tmp_path: Path, data: Path, saving: list[str], kept_step: int
) -> None:
    folder = folder_for(tmp_path, "out")
    (folder / "diverging.py").write_text(DIVERGING)
    own = "diverging:same" if kept_step == 10 else None
    precision = "bf16" if own else "fp32"
    changed = {"encoder": "diverging:encoder", "augmentation": Augmentation(own=own), "precision": precision}
    process = start(arguments("pretrain", data, *saving, **changed), folder)
    process.join()
    assert process.exitcode == 1 and not (folder / "out").exists()
    kept, last = checkpoint(folder), said(folder).splitlines()[-1]
    assert "not finite at step 13 (epoch 3): lower learning_rate" in last
    assert ("or set precision: fp32" in last) == bool(own)
    assert ("or see whether augmentation.own: diverging:same returns values that are NaN or" in last) == bool(own)
    assert kept and last.endswith(f"the last good checkpoint is {kept.relative_to(folder)}")
    state = CheckedFiles().load_checkpoint(kept)
    assert state["global_step"] == kept_step
    assert all(bool(weight.isfinite().all()) for weight in state["state_dict"].values())
