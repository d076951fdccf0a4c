"""Pretraining resumes exactly, keeps the best candidates, and never reads the test split."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from simclr_steps import random_numbers
from simclr_steps.augmentation import random_views
from simclr_steps.checkpoints import read_candidate
from simclr_steps.errors import UserError
from simclr_steps.files import read_json, read_table
from simclr_steps.hardware import Hardware
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


def command(out: Path, data: Path, *options: str) -> list[str]:
    """Return the command of the same training, saving at every step."""
    program = (
        "import sys, simclr_steps.training as training, simclr_steps.__main__ as main;"
        "training.SAVE_EVERY_SECONDS = 0.0; sys.exit(main.main())"
    )
    arguments = ["pretrain", "--settings", SMALL.model_dump_json(), "--data", str(data), "--seed", "0", "--gpus", "0"]
    places = ["--out", str(out), "--work", str(out.parent / "work")]
    return [sys.executable, "-c", program, *arguments, *places, *options]


def test_training_killed_at_any_moment_goes_on_and_ends_bit_equal(tmp_path: Path, data: Path) -> None:
    whole = train(tmp_path / "whole" / "out", data)
    stopped = tmp_path / "stopped" / "out"
    checkpoint = None
    for more_saves in (1, 6):  # killed twice: in the first epoch and later on
        process = subprocess.Popen(command(stopped, data), stderr=subprocess.PIPE)
        saves, last = 0, 0.0
        while saves < more_saves and process.poll() is None:
            checkpoint = next((tmp_path / "stopped" / "work").glob("*/training.ckpt"), None)
            written = checkpoint.stat().st_mtime if checkpoint else 0.0
            saves, last = saves + (written > last), max(last, written)
            time.sleep(0.01)
        assert process.poll() is None, "it ended before it could be killed"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not stopped.exists()
    result = subprocess.run(command(stopped, data), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "going on from" in result.stderr

    assert history(stopped) == history(whole)
    assert (stopped / "checkpoints.csv").read_text() == (whole / "checkpoints.csv").read_text()
    for name in ("rank1.ckpt", "rank3.ckpt", "last.ckpt"):
        one, other = (read_candidate(place / name)[0].weights for place in (whole, stopped))
        assert all(torch.equal(one[weight], other[weight]) for weight in one)
    assert not list((tmp_path / "stopped" / "work").glob("*/training.ckpt"))


def test_candidates_are_the_three_of_least_validation_loss_and_the_last(tmp_path: Path, data: Path) -> None:
    out = train(tmp_path / "out", data)
    table, rows = read_table(out / "checkpoints.csv"), read_table(out / "history.csv")
    losses = sorted(float(row["validate_loss"]) for row in rows)
    assert [row["file"] for row in table] == ["rank1.ckpt", "rank2.ckpt", "rank3.ckpt", "last.ckpt"]
    assert [float(row["validate_loss"]) for row in table[:3]] == losses[:3]
    assert table[3]["epoch"] == str(SMALL.epochs)
    for row in table:
        assert read_candidate(out / row["file"])[0].epoch == int(row["epoch"])

    best, encoder = read_candidate(out / "rank1.ckpt")
    hold_out = torch.from_numpy(read_split(data, "validation").images.copy())
    total = 0.0
    with torch.no_grad():  # in two batches of 30, from the same views each time
        for rows_ in torch.arange(60).chunk(2):
            key = random_numbers.keys(0, -1, rows_, 2)
            views = random_views(hold_out[rows_], key, SMALL.augmentation)
            _, projections = encoder.eval()(views.flatten(0, 1))
            total += float(nt_xent(projections.reshape(2, 30, -1), SMALL.temperature)) / 2
    assert best.validate_loss == pytest.approx(total, rel=1e-4)


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


def test_two_processes_train_together(tmp_path: Path, data: Path) -> None:
    as_a_user = [sys.executable, "-m", "simclr_steps", *command(tmp_path / "out", data, "--processes", "2")[3:]]
    result = subprocess.run(as_a_user, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stderr
    alone, together = train(tmp_path / "one" / "out", data), tmp_path / "out"
    assert [row["step"] for row in history(together)] == [row["step"] for row in history(alone)]
    # Batch norm sees half a batch in each of the two processes, so the losses are near, not equal.
    losses = [[float(row["loss"]) for row in history(place)] for place in (alone, together)]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


@pytest.mark.parametrize(
    ("change", "hardware", "message"),
    [
        ({"global_batch_size": 400}, {"gpus": 0}, "global_batch_size 400 exceeds the 200 training images"),
        ({"global_batch_size": 25}, {"gpus": 0, "processes": 2}, "global_batch_size 25 cannot be shared by 2"),
        ({}, {"gpus": 99}, "--gpus 99 asks for more GPUs than the"),
        ({"learning_rate": 1e30, "optimiser": "sgd"}, {"gpus": 0}, "the loss is nan in epoch"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(
    tmp_path: Path, data: Path, change: dict[str, Any], hardware: dict[str, int], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        train(tmp_path / "out", data, SMALL.model_copy(update=change), **hardware)
    assert not (tmp_path / "out").exists()


def test_two_trainings_cannot_share_a_work_folder(tmp_path: Path, data: Path) -> None:
    first = subprocess.Popen(command(tmp_path / "out", data), stderr=subprocess.DEVNULL)
    try:
        while not list((tmp_path / "work").glob("*/training.ckpt")) and first.poll() is None:
            time.sleep(0.05)
        with pytest.raises(UserError, match="is in use"):
            train(tmp_path / "out", data)
    finally:
        first.kill()
        first.wait()


def test_truncated_checkpoint_is_named(tmp_path: Path, data: Path) -> None:
    out = train(tmp_path / "out", data, SMALL.model_copy(update={"epochs": 1}))
    file = out / "last.ckpt"
    file.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(UserError, match="last.ckpt is damaged"):
        read_candidate(file)
