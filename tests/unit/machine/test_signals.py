"""Whenever a scheduler or the user ends a step, it says so, loses nothing, and goes on when it is run again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.machine.errors import Stopped
from simclr_steps.machine.options import Hardware, Saving
from simclr_steps.machine.signals import end_on_sigterm
from simclr_steps.methods.simclr import SimCLR
from simclr_steps.settings.finetuned import FinetunedSettings
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.steps import finetune as finetune_step
from simclr_steps.steps import pretrain as pretrain_step
from simclr_steps.steps.pretrain import pretrain
from simclr_steps.training.checked_files import CheckedFiles
from tests.unit.step_processes import content

SETTINGS = PretrainSettings(
    encoder="tests.own_encoders:with_batch_norm",
    epochs=2,
    global_batch_size=40,
    projection_head=ProjectionHead(hidden_size=16, output_size=8),
)


@pytest.fixture(autouse=True)
def as_a_program() -> Iterator[None]:
    """Let SIGTERM do in the test what it does in a step."""
    before = signal.getsignal(signal.SIGTERM)
    end_on_sigterm()
    yield
    signal.signal(signal.SIGTERM, before)


def signaled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is sent SIGTERM before it does its work."""

    def first_the_signal(*arguments: Any, **others: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return function(*arguments, **others)

    return first_the_signal


def train(folder: Path, data: Path) -> dict[str, Any]:
    pretrain(
        SETTINGS,
        data=data,
        seed=0,
        out=folder / "out",
        work=folder / "work",
        hardware=Hardware(gpus=0),
        saving=Saving(every_minutes=60),
    )
    return content(folder / "out")


@pytest.mark.parametrize(
    ("moment", "sentence", "saved_step"),
    [
        ("configure_optimizers", r"stopped \(SIGTERM\), saved at step 1 of 10: run again to resume", 1),
        ("_write", r"stopped \(SIGTERM\): run again to resume", 10),
    ],
)
def test_sigterm_while_a_training_starts_or_is_published_is_reported_and_loses_nothing(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, moment: str, sentence: str, saved_step: int
) -> None:
    owner: Any = SimCLR if hasattr(SimCLR, moment) else pretrain_step
    before = signal.getsignal(signal.SIGINT)  # tests that were started in the background ignore it
    with monkeypatch.context() as patched:
        patched.setattr(owner, moment, signaled(getattr(owner, moment)))
        with pytest.raises(Stopped, match=sentence) as stopped:
            train(tmp_path, data)
    assert stopped.value.status == 143 and not (tmp_path / "out").exists()
    assert signal.getsignal(signal.SIGINT) is before
    saved = next((tmp_path / "work").glob("*/training.ckpt"))
    assert CheckedFiles().load_checkpoint(saved)["global_step"] == saved_step
    assert train(tmp_path, data) == train(tmp_path / "whole", data)


def test_sigterm_while_a_classifier_is_evaluated_is_reported_and_loses_nothing(
    tmp_path: Path, data: Path, write_encoder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = FinetunedSettings(labels=40, epochs=1, batch_size=20)
    encoder = write_encoder()

    def run(folder: Path) -> dict[str, Any]:
        out, work = folder / "out", folder / "work"
        finetune_step.finetune(
            settings, encoder=encoder, data=data, seed=0, out=out, work=work, hardware=Hardware(gpus=0)
        )
        return content(folder / "out")

    with monkeypatch.context() as patched:
        patched.setattr(finetune_step, "_judge", signaled(finetune_step._judge))
        with pytest.raises(Stopped, match=r"stopped \(SIGTERM\): run again to resume"):
            run(tmp_path)
    saved = next((tmp_path / "work").glob("*/draw0.ckpt"))
    assert CheckedFiles().load_checkpoint(saved)["global_step"] == 2
    assert run(tmp_path) == run(tmp_path / "whole")
