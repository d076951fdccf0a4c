"""While it trains, a GPU never waits for the host: no step asks for a value, and nor do its callbacks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from simclr_steps.machine.options import Hardware
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.steps import pretrain as step
from simclr_steps.steps.pretrain import pretrain
from simclr_steps.training import history
from simclr_steps.training.resuming import resumable
from simclr_steps.training.sync_batch_norm import SyncBatchNorm
from tests.own_encoders import smooth_with_batch_norm
from tests.unit.conftest import digits
from tests.unit.groups import in_group

SETTINGS = PretrainSettings(
    encoder="tests.own_encoders:with_batch_norm",
    epochs=1,
    global_batch_size=40,
    projection_head=ProjectionHead(hidden_size=32, output_size=16),
)
# Of ten steps the first sets up libraries and callbacks, and the last is followed by the end of the epoch.
WATCHED = range(1, 9)


class Steps(L.Callback):
    """Calls `begin` before a step and `end` after it and its other callbacks."""

    def __init__(self, begin: Callable[[], object], end: Callable[[], object]) -> None:
        self._begin, self._end = begin, end

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step in WATCHED:
            self._begin()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step - 1 in WATCHED:
            self._end()


class ReadValues(TorchDispatchMode):
    """Collects what reads a tensor's value or makes a tensor of a value of the host."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0
        self.read: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        if func._schema.name in ("aten::_local_scalar_dense", "aten::item", "aten::lift_fresh", "aten::nonzero"):
            self.read.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.fixture
def train_watched(
    tmp_path: Path, write_packed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Return a function that trains ten steps and calls `begin` and `end` around most of them."""
    none = digits(0)
    data = write_packed({"train": digits(400), "validation": none, "test": none, "unlabeled": none})

    def train(hardware: Hardware, begin: Callable[[], object], end: Callable[[], object]) -> None:
        monkeypatch.setattr(history, "SPEAK_EVERY_SECONDS", 1000.0)
        monkeypatch.setattr(step, "resumable", lambda *given: [*resumable(*given), Steps(begin, end)])
        pretrain(SETTINGS, data=data, seed=0, out=tmp_path / "out", work=tmp_path / "work", hardware=hardware)

    return train


def test_no_step_of_a_training_reads_a_value(train_watched: Callable[..., None]) -> None:
    values = ReadValues()
    end = partial(values.__exit__, None, None, None)
    train_watched(Hardware(gpus=0), values.__enter__, end)
    assert values.operations > 1000
    assert values.read == []


def watch_batch_norm() -> ReadValues:
    network = SyncBatchNorm().apply(smooth_with_batch_norm(1, (8, 8)))
    values = ReadValues()
    with values:
        network(torch.rand(16, 1, 8, 8)).square().mean().backward()
    return values


def test_batch_norm_over_all_processes_reads_no_value() -> None:
    for values in in_group(2, watch_batch_norm):
        assert values.operations > 50
        assert values.read == []


@pytest.mark.gpu
@pytest.mark.parametrize("compile_", ["never", "always"])
def test_no_step_of_a_training_waits_for_the_gpu(train_watched: Callable[..., None], compile_: str) -> None:
    train_watched(
        Hardware(gpus=1, compile=compile_),
        lambda: torch.cuda.set_sync_debug_mode("error"),
        lambda: torch.cuda.set_sync_debug_mode("default"),
    )
