"""A classifier trains what it should, and the best epoch is kept if that is asked for."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from sklearn.utils.class_weight import compute_sample_weight

from simclr_steps.data.packed import read_split
from simclr_steps.files import read_table
from simclr_steps.methods.classifier import Supervised
from simclr_steps.networks.encoders import Classifier, load_classifier, load_encoder
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.augmentation import Augmentation
from tests.unit.conftest import WritePacked, digits
from tests.unit.finetuning import changed, train


def test_frozen_backbone_keeps_weights_and_statistics_and_the_head_learns(
    tmp_path: Path, encoder: Path, data: Path
) -> None:
    train(tmp_path / "out", encoder, data, changed(freeze=True, epochs=6))
    before, after = load_file(encoder), load_file(tmp_path / "out" / "model.safetensors")
    backbone = [name for name in before if name.startswith("backbone.")]
    assert backbone and all(torch.equal(before[name], after[name]) for name in backbone)
    losses = [float(row["loss"]) for row in read_table(tmp_path / "out" / "history.csv")]
    assert losses[-1] < losses[0]


def test_unfrozen_backbone_and_its_statistics_change(tmp_path: Path, encoder: Path, data: Path) -> None:
    train(tmp_path / "out", encoder, data, changed(epochs=1, augmentation=Augmentation()))
    before, after = load_file(encoder), load_file(tmp_path / "out" / "model.safetensors")
    for name in ("backbone.0.weight", "backbone.1.running_mean"):
        assert not torch.equal(before[name], after[name])


def test_the_epoch_of_highest_hold_out_accuracy_is_kept(tmp_path: Path, encoder: Path, data: Path) -> None:
    wild = changed(labels=200, epochs=8, learning_rate=2.0, schedule="constant", keep="best")
    metrics = train(tmp_path / "best", encoder, data, wild)
    rows = read_table(tmp_path / "best" / "history.csv")
    accuracies = {int(row["epoch"]): float(row["validate_accuracy"]) for row in rows if row["validate_accuracy"]}
    assert list(accuracies) == [3, 6, 8], "60 images are judged for 600 trained on, and after the last epoch"
    draw = metrics["draws"][0]
    assert draw["epoch"] == max(accuracies, key=accuracies.__getitem__) != 8, "the last epoch is not the best here"
    assert draw["validation"]["accuracy"] == pytest.approx(max(accuracies.values()))
    last = train(tmp_path / "last", encoder, data, changed(wild, keep="last"))["draws"][0]
    assert last["epoch"] == 8 and last["validation"]["accuracy"] == pytest.approx(accuracies[8])


def test_where_only_the_last_epoch_is_judged_keeping_the_best_is_warned_of(
    tmp_path: Path, encoder: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert train(tmp_path / "out", encoder, data, changed(keep="best"))["draws"][0]["epoch"] == 3
    assert "keep: best has no effect, as only the last of 3 epochs is judged: use more than 15" in caplog.text


def test_after_an_epoch_a_part_of_the_hold_out_is_judged_and_at_the_end_all_of_it(
    tmp_path: Path, encoder: Path, write_packed: WritePacked
) -> None:
    data = write_packed({"train": digits(200), "validation": digits(1000, 200), "test": digits(60, 1200)})
    metrics = train(tmp_path / "out", encoder, data, changed(labels=200, epochs=39, batch_size=64))
    rows = read_table(tmp_path / "out" / "history.csv")
    seen = [256 * float(row["validate_accuracy"]) for row in rows if row["validate_accuracy"]]
    assert len(seen) == 3 and seen == pytest.approx(np.round(seen))
    whole = metrics["draws"][0]["validation"]
    assert whole["images"] == 1000 and abs(whole["accuracy"] - seen[-1] / 256) < 0.05


@pytest.mark.parametrize(
    ("labels", "batch_size", "epochs"), [(20, 128, 1000), (50, 16, 250), (80, 2, 30), (7, 2, 334), (200, 2, 30)]
)
@pytest.mark.parametrize(("init", "network"), [("pretrained", None), ("random", {"encoder": "resnet18"})])
def test_automatic_epochs_are_thirty_or_make_a_thousand_updates(
    encoder: Path, data: Path, labels: int, batch_size: int, epochs: int, init: str, network: dict[str, str] | None
) -> None:
    settings = changed(epochs="auto", batch_size=batch_size, init=init, network=network)
    train_split, hold_out = read_split(data, "train"), read_split(data, "validation")
    classifier = Classifier(load_encoder(encoder).architecture, 10, "linear")
    module = Supervised(settings, classifier, train_split, hold_out, np.arange(labels), seed=0)
    assert module.epochs == epochs


@pytest.mark.slow
def test_automatic_epochs_are_trained_recorded_and_told(
    tmp_path: Path, encoder: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "simclr_steps")
    metrics = train(tmp_path / "out", encoder, data, changed(labels=30, epochs="auto", batch_size=2))
    history = read_table(tmp_path / "out" / "history.csv")
    assert (metrics["draws"][0]["epochs"], metrics["draws"][0]["epoch"], len(history)) == (67, 67, 67)
    assert int(history[-1]["step"]) == 67 * 15
    assert float(history[-1]["learning_rate"]) == pytest.approx(0, abs=1e-6)
    assert "30 labels, pretrained weights, 67 epochs" in caplog.text


def test_with_class_weights_the_loss_is_that_of_scikit_learns_balanced_weights(
    tmp_path: Path, encoder: Path, write_packed: WritePacked
) -> None:
    images, labels = digits(200)
    rare = np.isin(labels, (3, 8)) | (np.arange(200) < 40)
    data = write_packed(dict.fromkeys(("train", "validation", "test"), (images[rare], labels[rare])))
    still = changed(freeze=True, epochs=1, learning_rate=1e-12, labels=1.0, batch_size=200)
    weighted = changed(still, class_weights="balanced")
    split = read_split(data, "train")
    for name, settings, weight in (("none", still, None), ("balanced", weighted, "balanced")):
        train(tmp_path / name, encoder, data, settings)
        model = load_classifier(tmp_path / name / "model.safetensors")
        model.temperature = 1.0  # which is fitted after the training
        _, logits = compute_features(model, split.images, torch.device("cpu"))
        losses = F.cross_entropy(torch.from_numpy(logits), torch.tensor(split.labels), reduction="none").numpy()
        expected = np.average(losses, weights=compute_sample_weight(weight, split.labels))
        assert float(read_table(tmp_path / name / "history.csv")[0]["loss"]) == pytest.approx(expected, rel=1e-5)
