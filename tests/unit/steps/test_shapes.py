"""All steps show a network images of one height and width, whatever the images' shape and source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from pydantic import TypeAdapter

from simclr_steps.data.packed import read_description, read_split
from simclr_steps.files import read_json
from simclr_steps.methods import random_numbers
from simclr_steps.methods.views import random_views
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.features import network_input
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.datasets import Dataset
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.reading import check
from simclr_steps.settings.selection import SelectionSettings
from simclr_steps.steps.download import download
from simclr_steps.steps.embed import embed
from simclr_steps.steps.evaluate import evaluate
from simclr_steps.steps.predict import predict
from simclr_steps.steps.select import select
from tests.unit.conftest import Images, Labels, WriteEncoder, WritePacked, digits
from tests.unit.finetuning import changed
from tests.unit.finetuning import train as finetune
from tests.unit.packing import pack_and_label
from tests.unit.pretraining import CPU, OWN
from tests.unit.pretraining import train as pretrain

NOTHING = Augmentation(
    crop_probability=0,
    crop_scale=(1, 1),
    horizontal_flip_probability=0,
    rotation_probability=0,
    jitter_probability=0,
    grayscale_probability=0,
)
SHAPES = ((8, 8), (8, 16), (16, 8), (12, 13), (13, 12), (5, 40))
VIEW_SIZES = (None, 8, [8, 16], [13, 12], [12, 4])


def noise(count: int, *shape: int) -> Images:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def arrays(folder: Path, height: int, width: int, channels: int) -> dict[str, Any]:
    """Write images as an .npz file and return its block of `datasets`."""
    np.savez(folder / "images.npz", train_images=noise(5, height, width, channels))
    return {"source": "arrays", "path": str(folder / "images.npz"), "validation_fraction": 0, "test_fraction": 0}


def photos(folder: Path, side: int) -> dict[str, Any]:
    """Write image files of several shapes and return their block of `datasets`."""
    (folder / "photos").mkdir()
    for number, (height, width) in enumerate(SHAPES):
        Image.fromarray(noise(1, height, width, 3)[0]).save(folder / "photos" / f"{number}.png")
    block = {"source": "folder", "path": str(folder / "photos"), "image_size": side}
    return block | {"validation_fraction": 0, "test_fraction": 0}


def packed(folder: Path, block: dict[str, Any]) -> Path:
    dataset: Dataset = TypeAdapter(Dataset).validate_python(block)
    originals = folder / "originals.json"
    if dataset.source == "digits":
        download(dataset, folder=folder / "originals", out=originals)
    pack_and_label(dataset, folder / "packed", originals=originals)
    return folder / "packed"


def assert_views_are_the_plain_images(data: Path) -> None:
    description, images = read_description(data), torch.from_numpy(np.array(read_split(data, "train").images[:20]))
    key = random_numbers.keys(0, 0, torch.arange(len(images)), views=2)
    for view_size in VIEW_SIZES:
        settings = check(PretrainSettings, {"view_size": view_size})
        architecture = resolve(settings, description.image_format)
        plain = network_input(images, architecture.image_size)
        assert plain.shape[1:] == (description.image_format.channels, *architecture.image_size)
        for view in random_views(images, key, NOTHING, architecture.image_size):
            torch.testing.assert_close(view, plain, rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_views_that_change_nothing_are_the_plain_images_of_arrays(
    height: int, width: int, channels: int, tmp_path: Path
) -> None:
    assert_views_are_the_plain_images(packed(tmp_path, arrays(tmp_path, height, width, channels)))


@pytest.mark.parametrize("source", ["folder", "digits"])
def test_views_that_change_nothing_are_the_plain_images_of_other_sources(source: str, tmp_path: Path) -> None:
    block = photos(tmp_path, side=12) if source == "folder" else {"source": "digits"}
    assert_views_are_the_plain_images(packed(tmp_path, block))


def stretched(count: int, first: int = 0) -> tuple[Images, Labels]:
    """Return digits of 8 × 16 pixels, and their labels."""
    images, labels = digits(count, first)
    return np.repeat(images, 2, axis=2), labels


@pytest.fixture
def wide_digits(write_packed: WritePacked) -> Path:
    parts = {"train": (300, 0), "validation": (60, 300), "test": (200, 400), "unlabeled": (0, 0)}
    return write_packed({split: stretched(*rows) for split, rows in parts.items()})


@pytest.mark.slow(10)
def test_stretched_digits_are_told_apart_as_well_on_views_that_change_nothing(
    wide_digits: Path, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    encoder = write_encoder(encoder="tests.benchmarks.small_network:small_network", image_size=(8, 16))
    settings = EvaluationSettings(labels=[20], draws=1, augmentation=NOTHING)
    evaluate(settings, encoder=encoder, data=wide_digits, seed=0, out=tmp_path, hardware=CPU)
    linear = read_json(tmp_path / "linear.json")
    assert linear["probe"]["test"] > 0.7
    assert linear["probe_on_views"]["test"] == pytest.approx(linear["probe"]["test"], abs=0.01)
    accuracies = []
    for augmentation in (None, NOTHING):
        block = changed(labels=1.0, epochs=4, augmentation=augmentation)
        metrics = finetune(tmp_path / str(augmentation is None), encoder, wide_digits, block)
        accuracies.append(metrics["draws"][0]["test"]["accuracy"])
    assert accuracies[0] > 0.6
    # Squashed views cost 60 points; the last digits of equal views, which each machine rounds its own way, a few.
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.1)


EXACT = """
from torch import nn


class Exact(nn.Module):
    def __init__(self, channels, image_size):
        super().__init__()
        self.shape = (channels, *image_size)
        self.layer = nn.Conv2d(channels, 8, 3)

    def forward(self, x):
        assert x.shape[1:] == self.shape, x.shape
        return self.layer(x).mean(dim=(2, 3))


def encoder(channels, image_size):
    return Exact(channels, image_size)
"""


@pytest.mark.parametrize(("view_size", "reads"), [(None, [8, 16]), (8, [8, 8]), ([8, 16], [8, 16]), ([6, 16], [6, 16])])
def test_every_step_shows_the_network_what_it_was_pretrained_on(
    view_size: Any, reads: list[int], wide_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exact.py").write_text(EXACT)
    settings = check(
        PretrainSettings,
        OWN.model_dump(mode="json") | {"encoder": "exact:encoder", "view_size": view_size, "epochs": 1},
    )
    candidates, encoder = pretrain(tmp_path / "pretrain", wide_digits, settings), tmp_path / "encoder.safetensors"
    assert read_json(candidates / "run.json")["architecture"]["image_size"] == reads
    chosen = SelectionSettings(criterion="knn")
    select(chosen, candidates=candidates, data=wide_digits, out=tmp_path, hardware=CPU)
    views = EvaluationSettings(labels=[20], draws=1)
    evaluate(views, encoder=encoder, data=wide_digits, seed=0, out=tmp_path / "evaluate", hardware=CPU)
    finetune(tmp_path / "plain", encoder, wide_digits, changed(epochs=1))
    finetune(tmp_path / "views", encoder, wide_digits, changed(epochs=1, augmentation=Augmentation(preset="digits")))
    predict(encoder, data=wide_digits, split="test", out=tmp_path / "parts", hardware=CPU)
    for number, image in enumerate(stretched(3, 400)[0]):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{number}.png")
    embed(encoder, images=tmp_path, out=tmp_path / "features.parquet", hardware=CPU)
    predicted = np.load(tmp_path / "parts" / "part-0.features.npy")
    features = np.stack(list(pd.read_parquet(tmp_path / "features.parquet")["features"]))
    np.testing.assert_allclose(features, predicted[:3], rtol=1e-4, atol=1e-5)
