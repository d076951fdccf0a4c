"""Wherever a data set's images come from, they are opened, listed and recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from simclr_steps.data.sources import listed, opened, origin
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import Dataset
from simclr_steps.steps.download import download
from simclr_steps.steps.prepare import prepare
from tests.unit.conftest import digits
from tests.unit.data.test_image_index import put


def block(source: str, **facts: Any) -> Dataset:
    dataset: Dataset = TypeAdapter(Dataset).validate_python({"source": source, **facts})
    return dataset


@pytest.mark.parametrize("source", ["folder", "arrays", "digits"])
def test_what_is_listed_without_reading_an_image_is_what_is_opened(tmp_path: Path, source: str) -> None:
    originals: Path | None = None
    if source == "folder":
        dataset = block(source, path=str(put(tmp_path, "a/1.png", "b/2.png")), image_size=6)
    elif source == "arrays":
        images, labels = digits(5)
        np.savez(tmp_path / "d.npz", train_images=images, train_labels=labels)
        dataset = block(source, path=str(tmp_path / "d.npz"))
    else:
        dataset, originals = block(source), tmp_path / "originals.json"
        download(dataset, folder=tmp_path / "originals", out=originals)
    listing = listed(dataset, originals, tmp_path)
    with opened(dataset, originals, workers=1) as images_of:
        assert list(images_of.keys) == list(listing.keys)
        assert images_of.classes == listing.classes
        assert np.array_equal(images_of.labels, listing.labels)
        ((rows, images),) = images_of.read(np.array([1, 2] if source != "folder" else [0, 1]))
        assert len(rows) == len(images) == 2


def test_the_origin_is_an_absolute_path_or_the_files_that_download_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for source, facts in (("folder", {"image_size": 6}), ("arrays", {})):
        assert origin(block(source, path="photos", **facts), None) == {
            "source": source,
            "path": str(tmp_path / "photos"),
        }
    download(block("digits"), folder=tmp_path / "originals", out=tmp_path / "originals.json")
    found = origin(block("digits"), tmp_path / "originals.json")
    assert (found["source"], found["name"]) == ("digits", "digits")
    assert [file["name"] for file in found["files"]] == ["digits.csv.gz"]


def test_a_torchvision_set_needs_its_own_list_of_originals(tmp_path: Path) -> None:
    mnist = block("torchvision", name="MNIST")
    with pytest.raises(UserError, match="--originals is missing"):
        prepare(mnist, originals=None, out=tmp_path / "packed", workers=1)
    download(block("digits"), folder=tmp_path / "originals", out=tmp_path / "originals.json")
    with pytest.raises(UserError, match="lists the originals of digits, not of MNIST"):
        prepare(mnist, originals=tmp_path / "originals.json", out=tmp_path / "mnist", workers=1)
