"""New images get the classes that the workflow would have given them."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from simclr_steps.data.new_images import Batch, NewImages
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
from simclr_steps.networks.encoders import load_classifier, save_network
from simclr_steps.steps.classify import classify
from simclr_steps.steps.gather import gather
from simclr_steps.steps.predict import predict
from tests.unit.conftest import WriteEncoder, deep_digits, digits
from tests.unit.packing import pack_and_label
from tests.unit.settings.test_image_format import of

CPU = Hardware(gpus=0, workers=1)
CLASSES = ("cat, small", "../dog", "ü\nk")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with 12 digits as gray images and a damaged file."""
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for number, image in enumerate(digits(12)[0]):
        Image.fromarray(image[..., 0]).save(tmp_path / f"photos/{'deep/' * (number % 2)}{number:02}.png")
    (tmp_path / "photos/cut.png").write_bytes(b"damaged")
    return tmp_path / "photos"


@pytest.fixture
def model(write_encoder: WriteEncoder) -> Path:
    """Return the file of a classifier whose guesses differ from image to image."""
    path = write_encoder(classes=CLASSES, name="model")
    network = load_classifier(path)
    network.temperature = 2.5
    images = torch.from_numpy(digits(12)[0]).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        weight, bias = network.head.parameters()
        weight.mul_(30)
        bias.copy_(-weight @ network(images)[0].mean(dim=0))
    save_network(path, network, list(CLASSES))
    return path


def test_classes_and_probabilities_are_those_of_the_workflow_for_the_same_files(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    (photos / "cut.png").unlink()
    names = sorted(str(file.relative_to(photos)) for file in photos.rglob("*.png"))
    labels = [f'"{CLASSES[number % 3]}"' for number in range(9)]
    rows = [*(f"{name},{label},test" for name, label in zip(names, labels, strict=False))]
    rows += [f"{name},,train" for name in names[9:]]
    (photos / "list.csv").write_text("path,label,split\n" + "\n".join(rows))
    block = {
        "source": "folder",
        "path": str(photos / "list.csv"),
        "image_size": 8,
        "channels": 1,
        "validation_fraction": 0.0,
    }
    description = pack_and_label(block, tmp_path / "data")
    network = load_classifier(model)
    save_network(model, network, description.classes)  # with its temperature
    predict(model, data=tmp_path / "data", split="test", out=tmp_path / "parts", hardware=CPU)
    gather(tmp_path / "parts", data=tmp_path / "data", split="test", out=tmp_path)
    expected = pd.read_parquet(tmp_path / "predictions.parquet").set_index("source")
    classify(model, images=photos, out=tmp_path / "classes.parquet", hardware=CPU)
    found = pd.read_parquet(tmp_path / "classes.parquet").set_index("path")
    assert list(found.index) == names
    of_classes = [f"probability_{name}" for name in description.classes]
    assert list(found) == ["class", "probability", *of_classes]
    of_test = found.loc[expected.index]
    np.testing.assert_allclose(of_test[of_classes], expected[of_classes], rtol=0, atol=1e-5)
    assert of_test["class"].tolist() == expected["predicted_class"].tolist() and len(set(of_test["class"])) > 1
    assert of_test["probability"].tolist() == of_test[of_classes].max(axis=1).tolist()


def test_class_names_are_whole_in_every_kind_of_file_and_skipped_files_are_listed(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    tables: dict[str, Any] = {}
    for suffix in ("parquet", "csv", "npz"):
        classify(model, images=photos, out=tmp_path / f"classes.{suffix}", hardware=CPU)
    tables["parquet"] = pd.read_parquet(tmp_path / "classes.parquet")
    tables["csv"] = pd.read_csv(tmp_path / "classes.csv")
    of_classes = [f"probability_{name}" for name in CLASSES]
    assert list(tables["csv"]) == list(tables["parquet"]) == ["path", "class", "probability", *of_classes]
    with np.load(tmp_path / "classes.npz") as arrays:
        assert sorted(arrays.files) == ["class", "path", "probabilities", "probability", "simclr"]
        facts = [json.loads(str(arrays["simclr"]))]
        for table in tables.values():
            assert list(table["class"]) == list(arrays["class"]) and set(table["class"]) <= set(CLASSES)
            np.testing.assert_allclose(table[of_classes], arrays["probabilities"], rtol=1e-6)
    facts += [json.loads((tmp_path / "classes.csv.json").read_text())]
    facts += [json.loads(pq.read_metadata(tmp_path / "classes.parquet").metadata[b"simclr"])]
    for told in facts:
        assert told["skipped"] == ["cut.png"] and told["classes"] == list(CLASSES)
        assert told["run"]["step"] == "classify" and told["temperature"] == 2.5


def test_no_more_than_two_batches_are_in_memory_at_once(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[weakref.ref[Any]] = []
    most = 0
    whole = NewImages.batches

    def watched(images: NewImages, size: int, workers: int | None) -> Iterator[Batch]:
        nonlocal most
        for batch in whole(images, 2, workers):
            taken.append(weakref.ref(batch.images))
            most = max(most, sum(one() is not None for one in taken))
            yield batch

    monkeypatch.setattr(NewImages, "batches", watched)
    classify(model, images=photos, out=tmp_path / "classes.csv", hardware=CPU)
    assert len(taken) == 7 and most <= 2  # the one that was classified last, and the next


def test_mistakes_are_one_sentence_and_leave_an_earlier_table_alone(
    photos: Path, model: Path, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    out = tmp_path / "classes.csv"
    out.write_text("earlier")

    def fails(match: str, **other: Path) -> None:
        given = {"model": model, "images": photos, "out": out, **other}
        with pytest.raises(UserError, match=match):
            classify(**given, hardware=CPU)  # type: ignore[arg-type]

    fails("is an encoder, which knows no classes: finetune writes the models that classify", model=write_encoder())
    fails("images does not exist: give a folder of images or a CSV file", images=tmp_path / "images")
    fails(r"^--out: .*o\.txt ends in none of \.parquet, \.csv, \.npz", out=tmp_path / "o.txt")
    (tmp_path / "file").touch()
    fails("^--out: .*/file is no folder that you may write to: give another", out=tmp_path / "file/new/classes.csv")
    deep = write_encoder(classes=CLASSES, image_format=of(1, dtype="uint16", bits=16, height=8, width=8), name="deep")
    fails("none of the 13 images in .* is readable, the first of them being 00.png: its values are uint8", model=deep)
    five = write_encoder(classes=CLASSES, image_format=of(5, height=8, width=8), name="five")
    fails("none of the 13 images in .* is readable, the first of them being 00.png: .*channel", model=five)
    assert out.read_text() == "earlier"


def test_values_are_scaled_as_those_that_the_model_was_trained_on(write_encoder: WriteEncoder, tmp_path: Path) -> None:
    form = of(1, dtype="uint16", bits=16, value_range=[(0, 65535)], height=8, width=8)
    model = write_encoder(classes=CLASSES, image_format=form)
    (tmp_path / "deep").mkdir()
    for number, image in enumerate(deep_digits(4)[0]):
        Image.fromarray(image[..., 0]).save(tmp_path / f"deep/{number}.png")
    classify(model, images=tmp_path / "deep", out=tmp_path / "classes.parquet", hardware=CPU)
    images = torch.from_numpy(deep_digits(4)[0].astype(np.float32) / 65535).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = load_classifier(model)(images)[1].softmax(dim=1)
    found = pd.read_parquet(tmp_path / "classes.parquet")[[f"probability_{name}" for name in CLASSES]]
    np.testing.assert_allclose(found, expected, atol=1e-5)
