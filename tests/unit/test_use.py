"""What Python gets of images are the features and probabilities of the workflow, from arrays and from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from PIL import Image

from simclr_steps.data.scaling import scale
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
from simclr_steps.networks.encoders import load_network
from simclr_steps.networks.features import compute_features
from simclr_steps.steps.embed import embed
from simclr_steps.use import embed_images, load_classifier, load_encoder
from tests.unit.conftest import WriteEncoder, digits
from tests.unit.settings.test_image_format import of


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Files of color images of several sizes, in the order of their paths."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    for name, values in (("a.png", noise), ("b.png", noise[:20]), ("c.png", noise[:, :9])):
        Image.fromarray(values).save(folder / name)
    return sorted(folder.iterdir())


def test_files_and_what_they_hold_have_the_features_that_embed_writes(
    write_encoder: WriteEncoder, pictures: list[Path], tmp_path: Path
) -> None:
    model = write_encoder(channels=3, image_size=(16, 12))
    embed(model, images=pictures[0].parent, out=tmp_path / "f.parquet", hardware=Hardware(gpus=0, workers=1))
    expected = np.stack(list(pd.read_parquet(tmp_path / "f.parquet")["features"]))
    encoder = load_encoder(model, device="cpu")
    found = embed_images(encoder, pictures)
    assert found.dtype == np.float32 and found.shape == (3, encoder.feature_size)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(encoder([Image.open(path) for path in pictures]), expected, atol=1e-6)
    images = [np.asarray(Image.open(path)) for path in pictures]
    np.testing.assert_allclose(encoder(images), expected, atol=1e-6)
    np.testing.assert_allclose(encoder([torch.from_numpy(image.copy()) for image in images]), expected, atol=1e-6)
    np.testing.assert_allclose(embed_images(encoder, str(pictures[0])), expected[:1], atol=1e-6)
    encoder.network.train()  # as a training leaves it
    np.testing.assert_allclose(encoder(images), expected, atol=1e-6)
    prepared = encoder.prepare(images)
    assert prepared.shape == (3, 3, 16, 12) and prepared.dtype == torch.float32 and prepared.min() >= 0
    with torch.inference_mode():
        np.testing.assert_allclose(encoder.network(prepared), expected, atol=1e-6)


def test_that_colors_are_made_gray_is_said_once(
    write_encoder: WriteEncoder, pictures: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        embed_images(load_encoder(write_encoder(), device="cpu"), pictures)
    assert caplog.messages == [f"colors were made gray in 3 of 3 images, such as {pictures[0]}"]


def test_digits_without_a_channel_axis_have_the_features_of_the_packed_ones(write_encoder: WriteEncoder) -> None:
    encoder, images = load_encoder(write_encoder(), device="cpu"), digits(7)[0]
    expected, _ = compute_features(load_network(write_encoder()), images, torch.device("cpu"))
    np.testing.assert_allclose(encoder(images[..., 0]), expected, atol=1e-6)
    np.testing.assert_allclose(encoder(images), expected, atol=1e-6)


def test_the_value_range_of_the_training_is_applied(write_encoder: WriteEncoder, tmp_path: Path) -> None:
    form = of(2, height=8, width=8, dtype="uint16", bits=16, value_range=[(180, 4095), (0, 65_535)])
    model = write_encoder(image_format=form)
    fields = np.random.default_rng(0).integers(0, 5000, (3, 8, 8, 2), dtype=np.uint16)
    expected, _ = compute_features(load_network(model), scale(fields, form), torch.device("cpu"))
    encoder = load_encoder(model, device="cpu")
    np.testing.assert_allclose(encoder(fields), expected, atol=1e-6)
    for number, field in enumerate(fields):
        tifffile.imwrite(tmp_path / f"{number}.tif", field, planarconfig="contig", photometric="minisblack")
    files = [tmp_path / f"{number}.tif" for number in range(3)]
    np.testing.assert_allclose(embed_images(encoder, files), expected, atol=1e-6)
    with pytest.raises(UserError, match="^images.1.: its values are uint8, but the encoder was trained on uint16$"):
        encoder([fields[0], fields[1].astype(np.uint8)])


def test_a_classifier_gives_probabilities_by_class_and_features(write_encoder: WriteEncoder, tmp_path: Path) -> None:
    model, images = write_encoder(classes=("cat", "dog", "owl")), digits(5)[0]
    features, logits = compute_features(load_network(model), images, torch.device("cpu"))
    classifier = load_classifier(model, device="cpu")
    assert classifier.classes == ["cat", "dog", "owl"]
    np.testing.assert_allclose(classifier(images), torch.from_numpy(logits).softmax(dim=1), atol=1e-6)
    with torch.inference_mode():
        np.testing.assert_allclose(classifier.network(classifier.prepare(images)), logits, atol=1e-6)
    np.testing.assert_allclose(load_encoder(model, device="cpu")(images), features, atol=1e-6)
    Image.fromarray(images[2, ..., 0]).save(tmp_path / "2.png")
    np.testing.assert_allclose(embed_images(classifier, [str(tmp_path / "2.png")]), features[2:3], atol=1e-6)


def test_no_images_have_no_features(write_encoder: WriteEncoder) -> None:
    encoder = load_encoder(write_encoder(), device="cpu")
    assert encoder([]).shape == embed_images(encoder, []).shape == (0, encoder.feature_size)
    assert encoder.prepare([]).shape == (0, 1, 8, 8)


def test_what_is_wrong_with_an_image_or_a_file_is_said(write_encoder: WriteEncoder, tmp_path: Path) -> None:
    encoder = load_encoder(write_encoder(channels=3), device="cpu")
    for image, reason in (
        (np.zeros((8, 8), np.uint8), r"images\[0\]: it has 1 channel, but the encoder was trained on images with 3"),
        (np.zeros((8, 8, 3), np.int64), r"images\[0\]: its values are int64: convert them to uint8, uint16 or float32"),
        (np.zeros((8, 8, 3), np.float32), r"images\[0\]: its values are float32, but the encoder was trained on uint8"),
        (np.zeros((0, 8, 3), np.uint8), r"images\[0\]: it holds no pixels"),
        (np.zeros(8, np.uint8), r"images\[0\]: its shape is \(8,\): give \[H, W, C\] or \[H, W\]"),
    ):
        with pytest.raises(UserError, match=f"^{reason}$"):
            encoder([image])
    for one in (Image.new("RGB", (8, 8)), np.zeros((8, 8, 3), np.uint8), torch.zeros(8, 8, 3, dtype=torch.uint8)):
        with pytest.raises(UserError, match=r"^images is a single image: give a list, \[image\]$"):
            encoder(one)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"^images\[0\]: it is no array \(.*\): give \[H, W, C\] or \[H, W\]$"):
        encoder([[[[1, 2], [3]]]])
    with pytest.raises(UserError, match=r'^device="cuda:99" cannot be used \(.*\): give "cpu", or leave it out$'):
        load_encoder(write_encoder(channels=3), device="cuda:99")
    (tmp_path / "cut.png").write_bytes(b"damaged")
    for name, reason in (
        ("cut.png", "cut.png: it is damaged, or not one of"),
        ("none.png", "none.png: .*No such file"),
    ):
        with pytest.raises(UserError, match=reason):
            embed_images(encoder, [tmp_path / name])
    with pytest.raises(UserError, match="is an encoder, which knows no classes: finetune writes"):
        load_classifier(write_encoder())
