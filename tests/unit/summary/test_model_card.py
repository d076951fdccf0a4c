"""A model card says how to use an encoder, and what its folders tell of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from simclr_steps.data.scaling import scale
from simclr_steps.files import checksum, write_json
from simclr_steps.networks.architecture import StartedFrom
from simclr_steps.networks.encoders import load_network, save_network
from simclr_steps.networks.features import compute_features
from simclr_steps.networks.timm_folder import write_timm_folder
from simclr_steps.summary.model_card import model_card
from tests.unit.conftest import WriteEncoder
from tests.unit.settings.test_image_format import of


def card_of(encoder: Path) -> str:
    return model_card(load_network(encoder), encoder, encoder)


@pytest.mark.parametrize("facts", [{}, {"dtype": "uint16", "bits": 16, "value_range": [(180, 4095), (0, 900)]}])
def test_its_lines_give_the_features_of_raw_images(
    facts: dict[str, Any], write_encoder: WriteEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = of(2, height=32, width=32, **facts)
    model = write_encoder(encoder="timm:test_resnet", image_format=form)
    network = load_network(model)
    network.normalization.set([0.3, 0.4], [0.2, 0.1])
    write_timm_folder(network, tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", model_card(network, model, model), re.DOTALL)
    assert len(code.splitlines()) == (8 if facts else 7) - 1
    raw = np.random.default_rng(0).integers(0, 5000 if facts else 256, (3, 32, 32, 2)).astype(form.dtype)
    expected, _ = compute_features(network, scale(raw, form), torch.device("cpu"))
    variables = {"images": torch.from_numpy(raw.astype(np.float32)).permute(0, 3, 1, 2)}
    exec(code.replace("FOLDER", str(tmp_path)), variables)
    np.testing.assert_allclose(variables["features"].detach(), expected, atol=1e-3 * np.abs(expected).max())


def test_it_tells_the_training_the_accuracies_and_the_checksums(write_encoder: WriteEncoder, tmp_path: Path) -> None:
    run = tmp_path / "results"
    (run / "encoder").mkdir(parents=True)
    encoder = write_encoder().rename(run / "encoder" / "encoder.safetensors")
    assert "were not beside the encoder" in card_of(encoder)
    asked = dict.fromkeys(("epochs", "global_batch_size", "optimizer", "learning_rate", "temperature", "init"), 1)
    trained = {"settings": {**asked, "augmentation": {"hue": 0.1}}, "seed": 3, "data_hash": "abc", "verdict": None}
    write_json(run / "pretrain" / "run.json", {**trained, "fitted": {"epochs": 40, "global_batch_size": 64}})
    write_json(
        run / "encoder" / "selection.json", {"criterion": "knn", "epoch": 7, "why": "its kNN accuracy is the highest"}
    )
    knn = {"neighbors": 10, "validation": {"accuracy": 0.5, "images": 50}, "test": {"accuracy": 0.6, "images": 1200}}
    write_json(run / "evaluate" / "knn.json", knn)
    budgets = [{"labels": 20, "split": "test", "accuracy": share} for share in (0.2, 0.3)]
    write_json(run / "evaluate" / "linear.json", {"probe": {"validation": 0.62, "test": 0.75}, "results": budgets})
    card = card_of(encoder)
    for said in (
        "| epochs | `40` |",
        "| seed | `3` |",
        "The encoder is that of epoch 7, as its kNN accuracy is the highest (criterion knn).",
        "Hash of the images: `abc`.",
        "the 95 % interval for the number of judged images.",
        "| frozen features | validation (50 images) | test (1,200 images) |",
        "| kNN, 10 neighbors | 50.0 [36.6, 63.4] | 60.0 [57.2, 62.7] |",
        "| linear probe | 62.0 [48.2, 74.1] | 75.0 [72.5, 77.4] |",
        "| logistic regression, 20 labels |  | 25.0 ± 7.1 [22.6, 27.5] (2) |",
        "Trained from random weights: choose a license that the images permit.",
        checksum(encoder),
    ):
        assert said in card


def test_accuracies_of_images_in_groups_have_the_interval_of_the_groups(
    write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    (tmp_path / "encoder").mkdir()
    encoder = write_encoder().rename(tmp_path / "encoder" / "encoder.safetensors")
    of_groups = {"by_group": {"images": [50, 50], "accuracy": [25, 25]}}
    write_json(
        tmp_path / "evaluate" / "knn.json", {"neighbors": 10, "test": {"accuracy": 0.5, "images": 100, **of_groups}}
    )
    card = card_of(encoder)
    assert "interval for the number of judged groups" in card
    assert "| kNN, 10 neighbors | 50.0 [9.5, 90.5] |" in card, "Wilson's of two"


def test_it_tells_where_images_and_labels_came_from_unless_they_have_changed(
    write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    run, data = tmp_path / "results" / "cells" / "simclr" / "seed0", tmp_path / "resources" / "cells"
    model, encoder = run / "finetune" / "own" / "model.safetensors", run / "encoder" / "encoder.safetensors"
    for folder in (encoder.parent, model.parent, run / "pretrain", data):
        folder.mkdir(parents=True)
    write_encoder().rename(encoder)
    write_encoder(classes=("cat", "dog"), name="model").rename(model)
    write_json(run / "pretrain" / "run.json", {"data_hash": "pixels"})
    write_json(model.parent / "metrics.json", {"init": "random", "run": {"data_hash": "content"}})
    splits = {"train": {"images": 1100, "labeled": 90}, "unlabeled": {"images": 150, "labeled": 0}}
    facts: dict[str, Any] = {"pixel_hash": "pixels", "content_hash": "content", "splits": splits}
    own = {"source": {"source": "folder", "path": "/home/me/cells.csv"}, "classes": ["bright", "<img> `*` "]}
    write_json(data / "dataset.json", {**facts, **own})
    for file in (encoder, model):
        assert (
            "The data set `cells` is from `cells.csv`: 1,250 images to train on, 90 of them with a label; "
            "classes, as its folders or its table name them: `bright`, `` <img> `*`  ``.\n"
        ) in card_of(file)
        assert "/home/me" not in card_of(file)
    known = {"source": {"source": "torchvision", "name": "STL10", "files": []}, "classes": ["car"]}
    write_json(data / "dataset.json", {**facts, **known, "content_hash": "other"})
    card = card_of(encoder)
    assert "is from STL10 of torchvision: 1,250 images" in card and "as torchvision names them: `car`.\n" in card
    assert "is from" not in card_of(model)


def test_of_a_classifier_it_says_that_labels_trained_it(write_encoder: WriteEncoder, tmp_path: Path) -> None:
    model = write_encoder(classes=("cat", "dog"), name="model")
    assert "The backbone of a classifier of 2 classes" in card_of(model) and "no record beside it" in card_of(model)
    write_json(model.parent / "metrics.json", {"init": "random"})
    card = card_of(model)
    assert "trained on their labels from random weights." in card and "SimCLR" not in card and "simclr]" not in card


def test_it_names_the_weights_that_the_training_started_from(write_encoder: WriteEncoder) -> None:
    model = write_encoder()
    network = load_network(model)
    start = StartedFrom(name="resnet18.IMAGENET1K_V1", source="a.pth", sha256="12ab", license="BSD-3-Clause")
    network.architecture = network.architecture.model_copy(update={"started_from": start})
    save_network(model, network)
    card = card_of(model)
    assert card.startswith("---\nlibrary_name: timm\n") and '\nlicense: "bsd-3-clause"\n---\n' in card
    assert "`resnet18.IMAGENET1K_V1` (SHA-256 `12ab`); their license is BSD-3-Clause." in card
