from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from simclr_steps.files import read_json
from simclr_steps.machine.errors import UserError
from simclr_steps.methods import random_numbers
from simclr_steps.methods.augmenter import Augmenter
from simclr_steps.methods.views import random_views
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.display import Mix
from simclr_steps.settings.galleries import GallerySettings
from simclr_steps.steps.galleries import NEIGHBORS, ROWS, draw_neighbors, draw_views, galleries, neighborhoods, views_of
from tests.unit.conftest import WritePacked, deep_digits, digits
from tests.unit.digit_names import DIGITS


def write_features(folder: Path, count: int) -> Path:
    folder.mkdir()
    np.save(folder / "backbone.npy", digits(count, 260)[0].reshape(count, 64).astype(np.float32))
    labels = digits(count, 260)[1]
    table = {"row": range(count), "source": "", "label": pd.Series(labels, dtype="Int64"), "class": ""}
    pd.DataFrame(table).to_parquet(folder / "rows.parquet", index=False)
    (folder / "run.json").write_text(json.dumps({"split": "test", "run": {"data_hash": "pixels-of-data"}}))
    return folder


def test_the_first_views_are_those_that_training_sees() -> None:
    images = digits(50)[0]
    settings = Augmentation(preset="digits")
    rows = np.array([3, 41])
    key = random_numbers.keys(7, 0, torch.from_numpy(rows), 2)  # as pretrain draws two views in its first epoch
    trained = random_views(torch.from_numpy(images[rows]), key, settings).permute(1, 0, 3, 4, 2).numpy()
    shown = views_of(images, rows, Augmenter(settings), seed=7)
    np.testing.assert_allclose(shown[:, :2] / 255, trained, atol=0.5 / 255 + 1e-6)
    assert not np.array_equal(shown, views_of(images, rows, Augmenter(settings), seed=8))


def test_neighbors_are_scikit_learns_and_the_wrongly_voted_come_last() -> None:
    images, labels = digits(400)
    features = images.reshape(400, -1).astype(np.float32)
    found = neighborhoods(features, labels, seed=0)
    reference = NearestNeighbors(n_neighbors=NEIGHBORS + 1, metric="cosine").fit(features).kneighbors(features)[1]
    np.testing.assert_array_equal(found.neighbors, reference[found.queries, 1:])
    pairs = zip(found.queries, found.neighbors, strict=True)
    right = [np.bincount(labels[near]).argmax() == labels[query] for query, near in pairs]
    assert right == [True] * (ROWS // 2) + [False] * (ROWS // 2)


def test_without_labels_nothing_is_framed_or_named() -> None:
    images, labels = digits(60)
    features = images.reshape(60, -1).astype(np.float32)
    for known, frames in ((labels, ROWS * NEIGHBORS), (np.full(60, -1), 0)):
        figure = draw_neighbors(neighborhoods(features, known, 0), images, known, list(DIGITS))
        assert len(figure.axes[0].patches) == frames
        assert len(figure.axes[0].images) == ROWS * (NEIGHBORS + 1)
        assert len(figure.legends) == bool(frames)


def test_galleries_show_the_channels_that_are_asked_for() -> None:
    images, labels = deep_digits(60, channels=5)
    mix: Mix = {4: (0, 1, 0), 0: (1, 0, 0)}
    near = neighborhoods(images.reshape(60, -1).astype(np.float32), labels, 0)
    row = near.queries[0]
    views = (images[None, :1] >> 8).astype(np.uint8)
    for figure, shown in (
        (draw_neighbors(near, images, labels, list(DIGITS), mix), images[row]),
        (draw_views(images[:1], views, mix), images[0]),
    ):
        picture = np.asarray(figure.axes[0].images[0].get_array())
        expected = np.rint(shown[..., [0, 4]] / 257).astype(np.uint8)
        np.testing.assert_array_equal(picture, np.concatenate([expected, np.zeros_like(expected[..., :1])], axis=2))


def test_galleries_of_dim_images_are_brightened_alike_which_they_say() -> None:
    images, labels = deep_digits(60, channels=1)
    near = neighborhoods(images.reshape(60, -1).astype(np.float32), labels, 0)
    dim = images // 3
    views = (dim[None, :1] >> 8).astype(np.uint8)
    for may_stretch in (True, False):
        for figure in (
            draw_neighbors(near, dim, labels, list(DIGITS), may_stretch=may_stretch),
            draw_views(dim[:1], views, may_stretch=may_stretch),
        ):
            texts = [text.get_text() for text in figure.axes[0].texts]
            brightest = max(np.asarray(picture.get_array()).max() for picture in figure.axes[0].images)
            assert any("brightened alike" in text for text in texts) == may_stretch
            assert (brightest == 255) == may_stretch and (brightest < 90) == (not may_stretch)


def test_galleries_of_several_channels_say_which_is_shown_in_which_color(
    write_packed: WritePacked, tmp_path: Path
) -> None:
    (images, labels), (others, known) = deep_digits(20, channels=4), deep_digits(9, 260, channels=4)
    data = write_packed({"train": (images, labels), "test": (others, known)})
    settings = GallerySettings(display={"2": "blue", "0": "white"})
    galleries(settings, features=[write_features(tmp_path / "f", 9)], data=data, seed=0, out=tmp_path / "out")
    for name in ("augmentation", "neighbors"):
        drawn = (tmp_path / f"out/{name}.svg").read_text()
        assert ">channel 2<" in drawn and ">channel 0<" in drawn and "channel 1" not in drawn
        assert "fill: #0000ff" in drawn
    assert read_json(tmp_path / "out/run.json")["channels"] == "channel 2 in blue, channel 0 in white"


def test_a_split_smaller_than_a_gallery_is_shown_whole(write_packed: WritePacked, tmp_path: Path) -> None:
    data = write_packed({"train": digits(3), "test": digits(5, 260)})
    features = [write_features(tmp_path / "f", 5)]
    for _ in range(2):  # the second replaces the first
        galleries(GallerySettings(), features=features, data=data, seed=0, out=tmp_path / "out")
    names = {f"{name}.{kind}" for name in ("augmentation", "neighbors") for kind in ("png", "svg")} | {"run.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_split_of_no_or_few_images_makes_galleries_all_the_same(
    rows: int, write_packed: WritePacked, tmp_path: Path
) -> None:
    data = write_packed({"train": digits(3), "test": digits(rows, 260)})
    features = write_features(tmp_path / "f", rows)
    galleries(GallerySettings(), features=[features], data=data, seed=0, out=tmp_path / "out")
    text = (tmp_path / "out" / "neighbors.svg").read_text()
    counted = "1 image" if rows == 1 else f"{rows} images"
    assert (f"the test split has {counted}." in text) == (rows < 2)


def test_where_all_images_to_train_on_are_unlabeled_their_views_are_shown(
    write_packed: WritePacked, tmp_path: Path
) -> None:
    images, _ = digits(20)
    data = write_packed({"train": digits(0), "unlabeled": (images, np.full(20, -1)), "test": digits(9, 260)})
    galleries(GallerySettings(), features=[write_features(tmp_path / "f", 9)], data=data, seed=0, out=tmp_path / "out")
    assert (tmp_path / "out" / "augmentation.png").stat().st_size > 5000


def test_features_of_other_data_are_refused(write_packed: WritePacked, tmp_path: Path) -> None:
    data = write_packed(name="other")
    with pytest.raises(UserError, match="computed from data other than"):
        galleries(
            GallerySettings(), features=[write_features(tmp_path / "f", 60)], data=data, seed=0, out=tmp_path / "out"
        )
