"""A training says how far it is, and keeps a row for each epoch."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from simclr_steps.durations import per_second
from simclr_steps.files import read_table
from simclr_steps.machine import progress
from simclr_steps.training import history as history_module
from simclr_steps.training.history import History
from simclr_steps.training.module import Trained
from tests.unit.pretraining import OWN, train


def test_console_reports_epochs_without_flooding_and_always_the_last_one(
    tmp_path: Path, data: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "_EPOCHS_SPEAK_EVERY_SECONDS", 1000.0)
    monkeypatch.setattr(history_module, "SPEAK_EVERY_SECONDS", 1000.0)
    monkeypatch.setattr(logging.getLogger("simclr_steps"), "level", logging.INFO)
    train(tmp_path / "out", data, OWN.model_copy(update={"epochs": 3}))
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("after epoch")]
    assert len(lines) == 2 and lines[0].startswith("after epoch 1/3, loss ") and "kNN" not in lines[0]
    last = read_table(tmp_path / "out" / "history.csv")[-1]
    assert lines[1] == (
        f"after epoch 3/3, loss {float(last['loss']):.4f}, hold-out loss {float(last['validate_loss']):.4f}, "
        f"hold-out kNN {float(last['validate_knn_accuracy']):.1%}, learning rate {float(last['learning_rate']):.2e}, "
        f"{per_second(float(last['images_per_second']))} images/s, 0 s left"
    )


@pytest.mark.parametrize(
    ("schedule", "others"),
    [
        ("cosine", {"warmup_epochs": 1.0}),
        ("constant", {"warmup_steps": 7}),
        ("step", {"step_epochs": [2, 3], "step_factor": 0.1}),
    ],
)
def test_history_records_the_learning_rate_of_each_epochs_last_update(
    tmp_path: Path, data: Path, schedule: str, others: dict[str, Any]
) -> None:
    settings = OWN.model_copy(update={"schedule": schedule, "monitor_epochs": 0, **others})
    rows = read_table(train(tmp_path / "out", data, settings) / "history.csv")[1:]
    peak, steps = 1e-3, 20  # 4 epochs of 5
    expected = {
        "cosine": [peak, *(peak / 2 * (1 + math.cos(math.pi * (last - 5) / (steps - 5))) for last in (9, 14, 19))],
        "constant": [peak * 5 / 7, peak, peak, peak],
        "step": [peak, peak, peak / 10, peak / 100],
    }[schedule]
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx(expected, rel=1e-6)


class Slow(Trained):
    steps_per_epoch, images_per_step = 30, 1

    def validate(self) -> dict[str, float]:
        return {}


@pytest.mark.parametrize("seconds_per_step", [1, 3, 10, 30, 120])
def test_a_training_of_ten_hours_says_at_most_200_lines_and_a_true_rate(
    seconds_per_step: float, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, module = SimpleNamespace(now=0.0), Slow()
    for wherever in (progress, history_module):
        monkeypatch.setattr(wherever, "time", SimpleNamespace(monotonic=lambda: clock.now))
    history, optimizer = History(module), SimpleNamespace(param_groups=[{"lr": 0.1}])
    epochs = int(36_000 / seconds_per_step / module.steps_per_epoch)
    trainer: Any = SimpleNamespace(max_epochs=epochs, current_epoch=0, global_step=0, optimizers=[optimizer])
    loss = torch.tensor(1.0)
    with caplog.at_level(logging.INFO):
        history.on_train_start(trainer, module)
        for trainer.current_epoch in range(epochs):
            for batch in range(module.steps_per_epoch):
                clock.now += seconds_per_step
                trainer.global_step += 1
                history.on_train_batch_start(trainer)
                history.on_train_batch_end(trainer, module, loss, None, batch)
            history.on_train_epoch_end(trainer, module)
    assert 30 < len(caplog.messages) <= 200
    assert all(f"{per_second(1 / seconds_per_step)} images/s" in line for line in caplog.messages)
