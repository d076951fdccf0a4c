"""A compiled encoder trains as the plain one does, and its files are the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from simclr_steps import compilation
from simclr_steps.checkpoints import read_candidate
from simclr_steps.compilation import compiles
from simclr_steps.errors import Stopped, UserError
from simclr_steps.files import read_table
from simclr_steps.hardware import NORMAL_SAVING, Hardware, Saving
from simclr_steps.pretrain import pretrain
from simclr_steps.settings import Augmentation, PretrainSettings, ProjectionHead

SETTINGS = PretrainSettings(
    encoder="tests.own_encoders:without_batch_norm",
    epochs=3,
    global_batch_size=40,
    projection_head=ProjectionHead(hidden_size=32, output_size=16),
    augmentation=Augmentation(crop_scale=(0.3, 1.0)),
    precision="fp32",
)


@pytest.mark.parametrize(
    ("choice", "gpu", "steps", "expected"),
    [
        ("auto", True, 100_000, True),
        ("auto", True, 100, False),
        ("auto", False, 100_000, False),
        ("always", False, 1, True),
        ("never", True, 100_000, False),
    ],
)
def test_only_a_long_training_on_a_gpu_is_compiled_unasked(
    monkeypatch: pytest.MonkeyPatch, choice: str, gpu: bool, steps: int, expected: bool
) -> None:
    monkeypatch.setattr(compilation, "_can_compile", lambda gpu: True)
    assert compiles(choice, gpu=gpu, steps=steps) is expected


def test_without_a_compiler_auto_does_without_and_always_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert not compiles("auto", gpu=True, steps=100_000)
    with pytest.raises(UserError, match=r"--compile always needs g\+\+"):
        compiles("always", gpu=False, steps=1)


@pytest.mark.skipif(not compilation._can_compile(gpu=False), reason="needs g++ and Python's header files")
def test_compiled_training_stops_goes_on_and_ends_as_the_plain_one(
    tmp_path: Path, write_packed: Callable[..., Path]
) -> None:
    from torch._dynamo.utils import counters

    data = write_packed()

    def train(name: str, compile_: str, saving: Saving = NORMAL_SAVING) -> None:
        out, work = tmp_path / name / "out", tmp_path / name / "work"
        hardware = Hardware(gpus=0, compile=compile_)
        pretrain(SETTINGS, data=data, seed=0, out=out, work=work, hardware=hardware, saving=saving)

    train("plain", "never")
    counters.clear()
    with pytest.raises(Stopped):
        train("compiled", "always", Saving(leave_by=0.0))
    train("compiled", "always")
    assert counters["stats"]["unique_graphs"] == 1  # neither validation nor the monitors compile it anew

    plain, compiled = (tmp_path / name / "out" for name in ("plain", "compiled"))
    assert losses(compiled) == pytest.approx(losses(plain), rel=1e-4)
    expected, found = (read_candidate(out / "last.ckpt")[0].weights for out in (plain, compiled))
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-3, atol=1e-5)


def losses(out: Path) -> list[float]:
    return [float(row["loss"]) for row in read_table(out / "history.csv")]
