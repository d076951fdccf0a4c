"""SimCLR trains in the number format and memory layout that are fast, and its weights stay in fp32."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import pytest
import torch

from simclr_steps.files import read_json, read_table
from simclr_steps.methods.candidate_files import read_candidate
from simclr_steps.networks.encoders import Encoder
from simclr_steps.steps import pretrain as pretrain_step
from simclr_steps.training import resuming
from tests.unit.conftest import digits
from tests.unit.pretraining import OWN, train


def test_bf16_trains_nearly_as_fp32_does_and_keeps_weights_in_fp32(tmp_path: Path, data: Path) -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        settings = OWN.model_copy(update={"precision": precision})
        out = train(tmp_path / precision / "out", data, settings)
        losses[precision] = [float(row["loss"]) for row in read_table(out / "history.csv")[1:]]
        weights = read_candidate(out / "last.ckpt")[0].weights
        assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02) and losses["bf16"] != losses["fp32"]


def test_the_hold_outs_loss_does_not_depend_on_the_order_of_its_rows(
    tmp_path: Path, write_packed: Callable[..., Path]
) -> None:
    images, labels = digits(400, 200)
    by_class = np.argsort(labels, kind="stable")  # as in a folder of classes
    losses = {}
    for name, order in (("mixed", np.arange(400)), ("by_class", by_class)):
        splits = {"train": digits(200), "validation": (images[order], labels[order]), "unlabeled": digits(0)}
        data = write_packed(splits, name=name)
        rows = read_table(train(tmp_path / "trained" / name / "out", data, OWN) / "history.csv")
        losses[name] = float(rows[-1]["validate_loss"])
    assert losses["by_class"] == pytest.approx(losses["mixed"], rel=0.01)


def test_after_an_epoch_a_part_of_the_hold_out_is_judged_and_at_the_end_all_of_it(
    tmp_path: Path, write_packed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[int] = []  # views in each pass

    def encoder_seen(*arguments: Any) -> Encoder:
        encoder = Encoder(*arguments)
        encoder.register_forward_pre_hook(lambda module, x: None if module.training else judged.append(len(x[0])))
        return encoder

    monkeypatch.setattr(pretrain_step, "Encoder", encoder_seen)
    losses = {}
    for held_out, per_epoch in ((100, 100), (1000, 256)):
        splits = {"train": digits(700), "validation": digits(held_out, 700), "unlabeled": digits(0)}
        data = write_packed(splits, name=f"{held_out}")
        out = tmp_path / "trained" / f"{held_out}" / "out"
        judged.clear()
        train(out, data, OWN.model_copy(update={"monitor_epochs": 0, "epochs": 2}))
        assert sum(judged) == 2 * (3 * per_epoch + held_out), "two views, and a pass at first"
        losses[held_out] = (
            float(read_table(out / "history.csv")[-1]["validate_loss"]),
            read_json(out / "run.json")["hold_out_loss"],
        )
    assert losses[100][0] == losses[100][1]
    assert losses[1000][0] != losses[1000][1] == pytest.approx(losses[1000][0], rel=0.05)


@pytest.fixture
def color_data(write_packed: Callable[..., Path]) -> Path:
    """Data of three channels, as one channel is laid out alike whether it comes first or last."""
    splits = {"train": digits(200), "validation": digits(60, 200), "test": digits(0), "unlabeled": digits(0)}
    return write_packed({split: (np.repeat(images, 3, axis=3), labels) for split, (images, labels) in splits.items()})


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_training_is_channels_last_and_its_optimizer_fused(
    tmp_path: Path, color_data: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
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
    train(tmp_path / "out", color_data, OWN.model_copy(update={"epochs": 1, "optimizer": optimizer}))
    assert len(seen) > 10 and all(all(found) for found in seen)


def test_where_epochs_are_short_beside_a_judgment_not_every_one_is_judged(
    tmp_path: Path, write_packed: Callable[..., Path]
) -> None:
    splits = {"train": digits(90), "validation": digits(600, 300), "unlabeled": digits(0)}
    data = write_packed(splits)
    settings = OWN.model_copy(update={"epochs": 8, "monitor_epochs": 4})
    out = train(tmp_path / "out", data, settings)
    rows = read_table(out / "history.csv")
    judged = [int(row["epoch"]) for row in rows if row["validate_loss"]]
    assert judged == [0, 4, 8], "by the monitors; else every eleventh: 256 images are judged, 80 trained on"
    settings = settings.model_copy(update={"global_batch_size": 90, "monitor_epochs": 0, "epochs": 10})
    rows = read_table(train(tmp_path / "other/out", data, settings) / "history.csv")
    assert [int(row["epoch"]) for row in rows if row["validate_loss"]] == [0, 9, 10], "every ninth, and the last"
    best, last = (read_candidate(tmp_path / f"other/out/{name}.ckpt")[0] for name in ("best_loss", "last"))
    losses = {int(row["epoch"]): float(row["validate_loss"]) for row in rows[1:] if row["validate_loss"]}
    assert best.epoch == min(losses, key=lambda epoch: losses[epoch]) and last.epoch == 10
