"""Pretraining resumes exactly, keeps the best candidates, and never reads the test split."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import pytest
import torch

from simclr_steps.data.packed import read_split
from simclr_steps.files import read_json, read_table
from simclr_steps.machine import provenance
from simclr_steps.machine.errors import Stopped, UserError
from simclr_steps.machine.options import Hardware, Saving
from simclr_steps.methods import random_numbers
from simclr_steps.methods.candidates import read_candidate
from simclr_steps.methods.loss import nt_xent
from simclr_steps.methods.monitors import MONITORS, rankme
from simclr_steps.methods.views import random_views
from simclr_steps.networks import architecture
from simclr_steps.networks.encoders import Encoder, save_network
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.steps import pretrain as pretrain_step
from simclr_steps.steps.finetune import finetune
from simclr_steps.steps.pretrain import pretrain
from simclr_steps.training import history as history_module
from simclr_steps.training import resuming
from tests.unit.conftest import digits

CPU = Hardware(gpus=0)
SMALL = PretrainSettings(
    encoder="tests.own_encoders:smooth_with_batch_norm",
    epochs=4,
    global_batch_size=40,
    temperature=0.2,
    optimizer="adamw",
    learning_rate=1e-3,
    learning_rate_scaling="none",
    projection_head=ProjectionHead(hidden_size=32, output_size=16),
    augmentation=Augmentation(crop_scale=(0.3, 1.0), horizontal_flip_probability=0.0, rotation_degrees=20.0),
    precision="fp32",
)
OWN = SMALL.model_copy(update={"encoder": "tests.own_encoders:without_batch_norm"})
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
    out = train(tmp_path / "out", data, SMALL.model_copy(update={"encoder": "resnet18", "epochs": 1}), seed=3)
    run = read_json(out / "run.json")
    assert run["settings"]["temperature"] == 0.2 and run["seed"] == 3 and run["data_hash"] == "hash-of-data"
    assert run["architecture"]["stem"] == "small" and torch.__version__.startswith(run["versions"]["torch"])
    assert run["seconds"] > 0 and len(run["code_hash"]) == 16


def test_without_a_hold_out_the_last_is_the_only_candidate(tmp_path: Path, write_packed: Callable[..., Path]) -> None:
    full = write_packed(name="full")
    none = (np.zeros((0, 8, 8, 1), np.uint8), np.zeros(0, np.int64))
    split = read_split(full, "train")
    data = write_packed({"train": (split.images, split.labels), "validation": none, "test": none, "unlabeled": none})
    out = train(tmp_path / "out", data, SMALL.model_copy(update={"epochs": 1}))
    assert [row["file"] for row in read_table(out / "checkpoints.csv")] == ["last.ckpt"]


def test_unlabeled_images_are_trained_on(tmp_path: Path, write_packed: Callable[..., Path]) -> None:
    full = write_packed(name="full")
    split, hold_out = read_split(full, "train"), read_split(full, "validation")
    nothing = (split.images[:0], split.labels[:0])
    data = write_packed(
        {
            "train": (split.images[:60], split.labels[:60]),
            "validation": (hold_out.images, hold_out.labels),
            "test": nothing,
            "unlabeled": (split.images[60:], split.labels[60:] * 0 - 1),
        }
    )
    out = train(tmp_path / "out", data, SMALL.model_copy(update={"epochs": 1}))
    assert read_table(out / "history.csv")[0]["step"] == str(200 // 40)


@pytest.mark.parametrize(
    ("change", "hardware", "message"),
    [
        ({"global_batch_size": 400}, {"gpus": 0}, "global_batch_size 400 exceeds the 200 images of data to train on"),
        (
            {"global_batch_size": 25},
            {"gpus": 0, "processes": 2},
            "global_batch_size 25 cannot be divided evenly among 2",
        ),
        ({}, {"gpus": 99}, "--gpus 99 exceeds the"),
        ({"learning_rate": 1e30, "optimizer": "sgd"}, {"gpus": 0}, "are not finite at step"),
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
    file.write_bytes(file.read_bytes()[:-1000])
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
    monkeypatch.setattr(history_module, "_EPOCHS_SPEAK_EVERY_SECONDS", 1000.0)
    monkeypatch.setattr(history_module, "SPEAK_EVERY_SECONDS", 1000.0)
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


def test_bf16_trains_nearly_as_fp32_does_and_keeps_weights_in_fp32(tmp_path: Path, data: Path) -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        settings = OWN.model_copy(update={"precision": precision})
        out = train(tmp_path / precision / "out", data, settings)
        losses[precision] = [float(row["loss"]) for row in read_table(out / "history.csv")]
        weights = read_candidate(out / "last.ckpt")[0].weights
        assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02) and losses["bf16"] != losses["fp32"]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_training_is_channels_last_and_its_optimizer_fused(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    seen: list[tuple[bool, ...]] = []

    class Look(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, module: Any, *_: Any) -> None:
            kernels = [parameter for parameter in module.encoder.parameters() if parameter.ndim == 4]
            layouts = [kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels]
            seen.append((bool(kernels), *layouts, *(group["fused"] for group in trainer.optimizers[0].param_groups)))

    def look_at(module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        seen.append((inputs[0].is_contiguous(memory_format=torch.channels_last),))

    def encoder_seen(*arguments: Any) -> Encoder:
        encoder = Encoder(*arguments)
        encoder.register_forward_pre_hook(look_at)
        return encoder

    monkeypatch.setattr(pretrain_step, "Encoder", encoder_seen)
    monkeypatch.setattr(pretrain_step, "resumable", lambda *given: [*resuming.resumable(*given), Look()])
    train(tmp_path / "out", data, SMALL.model_copy(update={"epochs": 1, "optimizer": optimizer}))
    assert len(seen) > 10 and all(all(found) for found in seen)


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
    rows = read_table(train(tmp_path / "out", data, settings) / "history.csv")
    peak, steps = 1e-3, 20  # 4 epochs of 5
    expected = {
        "cosine": [peak, *(peak / 2 * (1 + math.cos(math.pi * (last - 5) / (steps - 5))) for last in (9, 14, 19))],
        "constant": [peak * 5 / 7, peak, peak, peak],
        "step": [peak, peak, peak / 10, peak / 100],
    }[schedule]
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx(expected, rel=1e-6)


def test_any_change_of_what_a_result_is_made_of_leads_to_another_work_folder(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folders() -> int:
        return len(list((tmp_path / "work").iterdir()))

    def begin(settings: PretrainSettings = OWN, seed: int = 0) -> None:
        with pytest.raises(Stopped):
            places = {"data": data, "out": tmp_path / "out", "work": tmp_path / "work"}
            pretrain(settings, seed=seed, hardware=CPU, saving=Saving(leave_by=0.0), **places)

    begin()
    begin()
    assert folders() == 1
    begin(OWN.model_copy(update={"temperature": 0.3}))
    begin(seed=1)
    assert folders() == 3
    with monkeypatch.context() as patched:
        patched.setattr(provenance, "code_hash", lambda step: "another code")
        begin()
    assert folders() == 4
    with monkeypatch.context() as patched:
        patched.setattr(architecture, "own_code_hash", lambda encoder: "another own code")
        begin()
    assert folders() == 5
    description = data / "dataset.json"
    description.write_text(description.read_text().replace("hash-of-data", "hash-of-other-data"))
    begin()
    assert folders() == 6


FULL_MEMORY = """
import torch
from torch import nn


class Hungry(nn.Linear):
    def forward(self, x):
        if self.training:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().forward(x.flatten(1))


def encoder(channels, image_size):
    return Hungry(channels * image_size**2, 8)
"""


def test_full_memory_is_one_sentence_that_names_the_key(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hungry.py").write_text(FULL_MEMORY)
    hungry = OWN.model_copy(update={"encoder": "hungry:encoder"})
    sentence = (
        "the GPU's memory is full at step 1: set micro_batch_size below 80, the number of views that pass through"
    )
    with pytest.raises(UserError, match=sentence):
        train(tmp_path / "out", data, hungry)
    encoder = tmp_path / "encoder.safetensors"
    save_network(encoder, Encoder(architecture.resolve(hungry, 8, 1)))
    with pytest.raises(UserError, match="the GPU's memory is full at step 1: lower batch_size, which is 20"):
        finetune(
            FinetuneSettings(labels=40, batch_size=20),
            encoder=encoder,
            data=data,
            seed=0,
            out=tmp_path / "classifier",
            work=tmp_path / "work",
            hardware=CPU,
        )


def test_an_own_encoder_that_reads_squares_alone_is_refused_images_that_are_none(
    tmp_path: Path, write_packed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = {split: (np.tile(images, (1, 1, 2, 1)), labels) for split, (images, labels) in {"train": digits(40)}.items()}
    nothing = (np.zeros((0, 8, 16, 1), np.uint8), np.zeros(0, np.int64))
    data = write_packed({**wide, "validation": nothing, "test": nothing, "unlabeled": nothing})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "squares.py").write_text(
        "from torch import nn\n"
        "def encoder(channels, image_size):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size**2, 8))\n"
    )
    squares = OWN.model_copy(update={"encoder": "squares:encoder", "epochs": 1})
    sentence = "encoder: squares:encoder cannot read images of 8 × 16 pixels and 1 channels .* or set view_size"
    with pytest.raises(UserError, match=sentence):
        train(tmp_path / "out", data, squares)
    assert train(tmp_path / "own", data, OWN.model_copy(update={"epochs": 1})).exists()
    assert train(tmp_path / "out", data, squares.model_copy(update={"view_size": 8})).exists()
