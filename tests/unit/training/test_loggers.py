"""TensorBoard shows what history.csv holds, once, whatever happened to the training."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from simclr_steps.files import read_table
from simclr_steps.machine.options import Hardware, Saving
from simclr_steps.methods.monitors import HoldOutMonitor
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.steps.pretrain import pretrain
from simclr_steps.training.history import History
from simclr_steps.training.loggers import TensorBoard
from simclr_steps.training.module import Trained
from tests.unit.conftest import digits

SETTINGS = PretrainSettings(
    encoder="tests.own_encoders:without_batch_norm",
    epochs=3,
    global_batch_size=32,
    monitor_epochs=2,
    projection_head=ProjectionHead(hidden_size=8, output_size=4),
)


@pytest.fixture
def train(tmp_path: Path, write_packed: Callable[..., Path]) -> Callable[..., Path]:
    data = write_packed({"train": digits(96), "validation": digits(20, 100), "unlabeled": digits(0)})

    def run(settings: PretrainSettings = SETTINGS) -> Path:
        out, work = tmp_path / "out", tmp_path / "work"
        hardware, saving = Hardware(gpus=0), Saving(every_epochs=1)
        pretrain(settings, data=data, seed=0, out=out, work=work, hardware=hardware, saving=saving)
        return out

    return run


def shown(folder: Path) -> dict[str, dict[int, list[float]]]:
    """Return the values of each curve by step."""
    events = EventAccumulator(str(folder))
    events.Reload()
    curves: dict[str, dict[int, list[float]]] = {}
    for name in events.Tags()["scalars"]:
        for event in events.Scalars(name):
            curves.setdefault(name, {}).setdefault(event.step, []).append(event.value)
    return curves


def test_stopped_and_resumed_training_shows_each_row_once(
    tmp_path: Path, train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, calls = HoldOutMonitor.measure, count()

    def crash(*arguments: Any) -> Any:
        if next(calls):  # the first one is before the first step
            raise RuntimeError("in epoch 2")
        return measure(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(HoldOutMonitor, "measure", crash)
        with pytest.raises(RuntimeError, match="in epoch 2"):
            train()
    while_training = next((tmp_path / "work").glob("*/tensorboard"))
    assert list(shown(while_training)["loss"]) == [3]

    out = train()
    rows = read_table(out / "history.csv")
    expected: dict[str, dict[int, Any]] = {}
    for row in rows:
        for column, cell in row.items():
            if cell and column not in ("step", "seconds"):
                value = [pytest.approx(float(cell), rel=1e-5)]
                expected.setdefault(column, {})[int(row["step"])] = value
    assert shown(out / "tensorboard") == expected
    assert list(expected["loss"]) == [3, 6, 9] and list(expected["validate_rankme"]) == [0, 6, 9]


class Unmeasured(Trained):
    def validate(self) -> dict[str, float]:
        return {}


def test_a_full_disk_is_told_once_and_the_training_goes_on(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = set(threading.enumerate())
    module = Unmeasured()
    history = History(module)
    curves = TensorBoard(history, small_disk / "tensorboard")
    trainer: Any = SimpleNamespace(is_global_zero=True)
    curves.on_train_start(trainer, module)
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    for epoch in range(1, 200):
        history.rows.append({"epoch": epoch, "step": epoch, "loss": 1.0, "seconds": 0.1})
        curves.on_train_epoch_end(trainer, module)
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        f"warning: no more TensorBoard logs are written ({small_disk}/tensorboard: No space left on device)"
    ]
    assert set(threading.enumerate()) <= before


def test_without_the_package_training_goes_on_and_says_so_once(
    train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.record_writer", None)
    monkeypatch.setattr(logging.getLogger("simclr_steps"), "level", logging.INFO)
    out = train(SETTINGS.model_copy(update={"epochs": 1}))
    assert (out / "history.csv").exists() and not (out / "tensorboard").exists()
    assert [record.getMessage() for record in caplog.records].count(
        "TensorBoard logs are not written because the package tensorboard is not installed"
    ) == 1
