"""Pretraining resumes exactly, keeps the best candidates, and never reads the test split."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from simclr_steps import random_numbers, training
from simclr_steps.augmentation import random_views
from simclr_steps.checkpoints import read_candidate
from simclr_steps.errors import UserError
from simclr_steps.features import compute_features
from simclr_steps.files import read_json, read_table
from simclr_steps.hardware import Hardware
from simclr_steps.monitors import MONITORS, rankme
from simclr_steps.ntxent import nt_xent
from simclr_steps.packed import read_split
from simclr_steps.pretrain import pretrain
from simclr_steps.settings import Augmentation, PretrainSettings, ProjectionHead

CPU = Hardware(gpus=0)
SMALL = PretrainSettings(
    epochs=4,
    global_batch_size=40,
    temperature=0.2,
    optimiser="adamw",
    learning_rate=1e-3,
    learning_rate_scaling="none",
    projection_head=ProjectionHead(hidden_size=32, output_size=16),
    augmentation=Augmentation(crop_scale=(0.3, 1.0), horizontal_flip_probability=0.0, rotation_degrees=20.0),
)
TIMES = ("images_per_second", "seconds")


def history(folder: Path) -> list[dict[str, str]]:
    """Return the history without what depends on the clock."""
    return [{k: v for k, v in row.items() if k not in TIMES} for row in read_table(folder / "history.csv")]


@pytest.fixture
def data(write_packed: Callable[..., Path]) -> Path:
    return write_packed()


def train(out: Path, data: Path, settings: PretrainSettings = SMALL, seed: int = 0, **hardware: Any) -> Path:
    chosen = Hardware(**hardware) if hardware else CPU
    pretrain(settings, data=data, seed=seed, out=out, work=out.parent / "work", hardware=chosen)
    return out


def test_candidates_are_the_three_of_least_validation_loss_and_the_last(tmp_path: Path, data: Path) -> None:
    out = train(tmp_path / "out", data)
    table, rows = read_table(out / "checkpoints.csv"), read_table(out / "history.csv")
    losses = sorted(float(row["validate_loss"]) for row in rows)
    assert [row["file"] for row in table] == ["rank1.ckpt", "rank2.ckpt", "rank3.ckpt", "last.ckpt"]
    assert [float(row["validate_loss"]) for row in table[:3]] == losses[:3]
    assert table[3]["epoch"] == str(SMALL.epochs)
    for row in table:
        assert read_candidate(out / row["file"])[0].epoch == int(row["epoch"])

    hold_out = torch.from_numpy(read_split(data, "validation").images.copy())
    for name in ("rank1.ckpt", "rank2.ckpt", "rank3.ckpt"):
        candidate, encoder = read_candidate(out / name)
        total = 0.0
        with torch.no_grad():  # in two batches of 30, from the same views in every epoch
            for rows_ in torch.arange(60).chunk(2):
                key = random_numbers.keys(0, -1, rows_, 2)
                views = random_views(hold_out[rows_], key, SMALL.augmentation)
                _, projections = encoder.eval()(views.flatten(0, 1))
                total += float(nt_xent(projections.reshape(2, 30, -1), SMALL.temperature)) / 2
        assert candidate.validate_loss == pytest.approx(total, rel=1e-4)


def test_record_tells_what_made_it_and_test_split_is_not_read(tmp_path: Path, data: Path) -> None:
    for file in data.glob("test.*"):
        file.unlink()
    out = train(tmp_path / "out", data, SMALL.model_copy(update={"epochs": 1}), seed=3)
    run = read_json(out / "run.json")
    assert run["settings"]["temperature"] == 0.2 and run["seed"] == 3 and run["data_hash"] == "hash-of-data"
    assert run["architecture"]["stem"] == "small" and torch.__version__.startswith(run["versions"]["torch"])
    assert run["seconds"] > 0 and len(run["code_hash"]) == 16


def test_without_a_hold_out_the_last_is_the_only_candidate(tmp_path: Path, write_packed: Callable[..., Path]) -> None:
    import numpy as np

    full = write_packed(name="full")
    none = (np.zeros((0, 8, 8, 1), np.uint8), np.zeros(0, np.int64))
    split = read_split(full, "train")
    data = write_packed({"train": (split.images, split.labels), "validation": none, "test": none, "unlabelled": none})
    out = train(tmp_path / "out", data, SMALL.model_copy(update={"epochs": 1}))
    assert [row["file"] for row in read_table(out / "checkpoints.csv")] == ["last.ckpt"]


def test_unlabelled_images_are_trained_on(tmp_path: Path, write_packed: Callable[..., Path]) -> None:
    full = write_packed(name="full")
    split, hold_out = read_split(full, "train"), read_split(full, "validation")
    nothing = (split.images[:0], split.labels[:0])
    data = write_packed(
        {
            "train": (split.images[:60], split.labels[:60]),
            "validation": (hold_out.images, hold_out.labels),
            "test": nothing,
            "unlabelled": (split.images[60:], split.labels[60:] * 0 - 1),
        }
    )
    out = train(tmp_path / "out", data, SMALL.model_copy(update={"epochs": 1}))
    assert read_table(out / "history.csv")[0]["step"] == str(200 // 40)


@pytest.mark.parametrize(
    ("change", "hardware", "message"),
    [
        ({"global_batch_size": 400}, {"gpus": 0}, "global_batch_size 400 exceeds the 200 training images"),
        ({"global_batch_size": 25}, {"gpus": 0, "processes": 2}, "global_batch_size 25 cannot be shared by 2"),
        ({}, {"gpus": 99}, "--gpus 99 asks for more GPUs than the"),
        ({"learning_rate": 1e30, "optimiser": "sgd"}, {"gpus": 0}, "are not finite at step"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(
    tmp_path: Path, data: Path, change: dict[str, Any], hardware: dict[str, int], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        train(tmp_path / "out", data, SMALL.model_copy(update=change), **hardware)
    assert not (tmp_path / "out").exists()


def test_truncated_checkpoint_is_named(tmp_path: Path, data: Path) -> None:
    out = train(tmp_path / "out", data, SMALL.model_copy(update={"epochs": 1}))
    file = out / "last.ckpt"
    file.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(UserError, match="last.ckpt is damaged"):
        read_candidate(file)


def test_monitors_are_recorded_and_leave_the_training_as_it_is(tmp_path: Path, data: Path) -> None:
    often, never = (
        train(tmp_path / name / "out", data, SMALL.model_copy(update={"epochs": 3, "monitor_epochs": every}))
        for name, every in (("often", 2), ("never", 0))
    )
    for name in ("rank1.ckpt", "last.ckpt"):  # batch norm's statistics among the weights
        one, other = (read_candidate(place / name)[0].weights for place in (often, never))
        assert all(torch.equal(one[weight], other[weight]) for weight in one)

    measured, unmeasured = history(often), history(never)
    assert [{**row, **dict.fromkeys(MONITORS, "")} for row in measured] == unmeasured
    assert [all(row[name] for name in MONITORS) for row in measured] == [False, True, True]  # each second, and the last
    assert not any(measured[0][name] for name in MONITORS)
    for row in read_table(often / "checkpoints.csv"):
        of_its_epoch = measured[int(row["epoch"]) - 1]
        assert all(row[name] == of_its_epoch[name] for name in ("step", "validate_loss", *MONITORS))
    _, encoder = read_candidate(often / "last.ckpt")
    features, _ = compute_features(encoder, read_split(data, "validation").images, torch.device("cpu"))
    assert float(measured[-1]["validate_rankme"]) == pytest.approx(rankme(torch.from_numpy(features)), rel=1e-4)


def test_console_tells_of_epochs_without_flooding_and_always_of_the_last(
    tmp_path: Path, data: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_EPOCHS_SPEAK_EVERY_SECONDS", 1000.0)
    monkeypatch.setattr(training, "SPEAK_EVERY_SECONDS", 1000.0)
    monkeypatch.setattr(logging.getLogger("simclr_steps"), "level", logging.INFO)
    train(tmp_path / "out", data, SMALL.model_copy(update={"epochs": 3}))
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("after epoch")]
    assert len(lines) == 2 and lines[0].startswith("after epoch 1/3, loss ") and "kNN" not in lines[0]
    last = read_table(tmp_path / "out" / "history.csv")[-1]
    assert lines[1] == (
        f"after epoch 3/3, loss {float(last['loss']):.4f}, hold-out loss {float(last['validate_loss']):.4f}, "
        f"hold-out kNN {float(last['validate_knn_accuracy']):.1%}, learning rate {float(last['learning_rate']):.2e}, "
        f"{float(last['images_per_second']):.0f} images/s, 0 s left"
    )
