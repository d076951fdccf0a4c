from __future__ import annotations

import logging
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from pydantic import TypeAdapter
from sklearn.datasets import load_digits

from simclr_steps.data import packed_writer
from simclr_steps.data.packed import Description, read_split
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.progress import Progress
from simclr_steps.settings.base import SPLITS
from simclr_steps.settings.datasets import Dataset
from simclr_steps.steps.download import download
from tests.unit.packing import pack_and_label


def run(tmp_path: Path, block: dict[str, Any], *, workers: int = 1, out: str = "packed") -> tuple[Path, Description]:
    """Download if need be, prepare, label, and return the folder and what dataset.json says."""
    dataset: Dataset = TypeAdapter(Dataset).validate_python(block)
    originals = tmp_path / "originals.json"
    if block["source"] in ("digits", "torchvision"):
        download(dataset, folder=tmp_path / "originals", out=originals)
    return tmp_path / out, pack_and_label(dataset, tmp_path / out, originals=originals, workers=workers)


def sources(folder: Path, split: str) -> list[str]:
    """Return the column `source` of a split's rows."""
    return pd.read_parquet(folder / f"{split}.rows.parquet")["source"].tolist()


def counts(description: Description) -> list[int]:
    return [description.splits[split].images for split in SPLITS]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "file"), [("CIFAR10", "data_batch_1"), ("MNIST", "train-images-idx3-ubyte.gz")])
def test_every_image_of_a_torchvision_set_is_packed_as_torchvision_reads_it(
    tmp_path: Path, name: str, file: str
) -> None:
    if "SIMCLR_TEST_DATA" not in os.environ:
        pytest.skip("SIMCLR_TEST_DATA names no folder with the real files")
    import torchvision

    original = next(path for path in Path(os.environ["SIMCLR_TEST_DATA"]).rglob(file) if path.is_file())
    folder, description = run(tmp_path, {"source": "torchvision", "name": name, "path": str(original.parent)})
    if name == "MNIST":  # torchvision wants the files unpacked, in folders of its own
        import gzip

        raw = tmp_path / "theirs" / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for path in original.parent.glob("*-ubyte.gz"):
            (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        root = tmp_path / "theirs"
    else:
        root = original.parent.parent
    seen = []
    for split in ("train", "validation", "test"):
        theirs = getattr(torchvision.datasets, name)(root, train=split != "test")
        ours, rows = read_split(folder, split), sources(folder, split)
        numbers = [int(source.removeprefix("test/" if split == "test" else "train/")) for source in rows]
        assert numbers == sorted(numbers)
        expected = np.asarray(theirs.data)[numbers].reshape(ours.images.shape)
        assert np.array_equal(ours.images, expected)
        assert np.array_equal(ours.labels, np.asarray(theirs.targets)[numbers])
        seen += rows
    assert len(set(seen)) == len(seen) == sum(counts(description))
    share = np.array(description.splits["validation"].per_class) / np.array(description.splits["train"].per_class)
    assert np.allclose(share, 1 / 9, rtol=0.01)


def test_digits_are_split_in_three_disjoint_and_stratified_parts(tmp_path: Path) -> None:
    folder, description = run(tmp_path, {"source": "digits"})
    digits = load_digits()
    every = []
    for split in ("train", "validation", "test"):
        numbers = [int(source.removeprefix("train/")) for source in sources(folder, split)]
        assert np.array_equal(read_split(folder, split).labels, digits.target[numbers])
        every += numbers
    assert sorted(every) == list(range(1797))
    assert description.splits["test"].images == round(0.2 * 1797)
    per_class = np.array(description.splits["test"].per_class) / np.bincount(digits.target)
    assert np.abs(per_class - 0.2).max() < 0.01


def test_the_same_settings_give_the_same_bytes_and_another_seed_another_split(tmp_path: Path) -> None:
    _, first = run(tmp_path, {"source": "digits"})
    _, again = run(tmp_path, {"source": "digits"}, out="again")
    _, other = run(tmp_path, {"source": "digits", "split_seed": 1}, out="other")
    assert first.content_hash == again.content_hash != other.content_hash


def test_a_subset_is_taken_of_each_split(tmp_path: Path) -> None:
    folder, description = run(tmp_path, {"source": "digits", "subset": 40})
    assert counts(description) == [40, 40, 40, 0]
    assert description.splits["train"].per_class == [4] * 10
    assert set(sources(folder, "test")) < set(sources(run(tmp_path, {"source": "digits"}, out="all")[0], "test"))


def photos(folder: Path, *names: str) -> str:
    pictures = load_digits().images
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray((pictures[number] * 15).astype(np.uint8))
        picture.resize((20 + number % 7, 30 - number % 5)).convert("RGB").save(folder / name)
    return str(folder)


@pytest.mark.usefixtures("in_processes_at_once")
def test_a_folder_of_images_is_packed_the_same_with_one_and_with_several_processes(tmp_path: Path) -> None:
    names = [f"train/{label}/{n}.jpg" for label in ("cat", "dog") for n in range(20)]
    names += [f"test/cat/{n}.png" for n in range(5)] + [f"unlabeled/{n}.bmp" for n in range(7)]
    block = {"source": "folder", "path": photos(tmp_path / "images", *names), "image_size": 12, "channels": 1}
    folder, one = run(tmp_path, block)
    _, two = run(tmp_path, block, workers=2, out="two")
    assert one.content_hash == two.content_hash
    assert counts(one) == [36, 5, 5, 6]
    assert one.classes == ["cat", "dog"]
    assert (*one.image_format.size, one.image_format.channels) == (12, 12, 1)
    trained_on = [name for name in sources(folder, "train") if name.startswith("unlabeled")]
    assert sorted(trained_on + sources(folder, "validation"))[-7:] == sorted(
        name for name in names if name.startswith("unlabeled")
    )


def test_images_without_any_label_are_split_at_random_for_training(tmp_path: Path) -> None:
    path = photos(tmp_path / "images", *(f"{n}.png" for n in range(50)))
    folder, description = run(tmp_path, {"source": "folder", "path": path, "image_size": 8})
    assert counts(description) == [36, 4, 10, 0]
    assert description.classes == []
    assert (read_split(folder, "train").labels == -1).all()


def test_unreadable_images_stop_or_are_skipped_and_counted_as_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = photos(tmp_path / "images", *(f"a/{n}.jpg" for n in range(10)))
    damaged = tmp_path / "images" / "a" / "4.jpg"
    damaged.write_bytes(damaged.read_bytes()[:200])
    block = {"source": "folder", "path": path, "image_size": 8, "test_fraction": 0.0}
    with pytest.raises(UserError, match=r"a/4\.jpg is unreadable"):
        run(tmp_path, block)
    assert not (tmp_path / "packed" / "dataset.json").exists()
    folder, description = run(tmp_path, {**block, "unreadable": "skip"})
    assert description.skipped == ["a/4.jpg"]
    assert "1 unreadable images were left out" in caplog.text
    assert sum(counts(description)) == 9
    assert "a/4.jpg" not in sources(folder, "train") + sources(folder, "validation")
    for number in range(20):
        (tmp_path / f"images/a/cut{number}.jpg").write_bytes(b"damaged")
    caplog.clear()
    _, description = run(tmp_path, {**block, "unreadable": "skip"})
    assert len(description.skipped) == 21 and caplog.text.count("skipped ") == 6
    assert "21 unreadable images were left out: images.json lists them as skipped" in caplog.text


def test_decoding_shows_how_far_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "simclr_steps")
    monkeypatch.setattr(packed_writer, "Progress", partial(Progress, every=0, growth=0))
    monkeypatch.setattr(packed_writer, "_CHUNK_BYTES", 8 * 8 * 3 * 4)
    path = photos(tmp_path / "images", *(f"{n}.png" for n in range(12)))
    run(tmp_path, {"source": "folder", "path": path, "image_size": 8})
    said = re.findall(r"packed (\d+) of 12 images, [\d.,]+ images/s, \d+ s left", caplog.text)
    assert said == ["4", "8", "12"]


def test_arrays_are_packed(tmp_path: Path) -> None:
    digits = load_digits()
    images = (digits.images * 15).astype(np.uint8)
    np.savez(
        tmp_path / "d.npz", train_images=images[:1000], train_labels=digits.target[:1000], test_images=images[1000:]
    )
    folder, description = run(
        tmp_path, {"source": "arrays", "path": str(tmp_path / "d.npz"), "validation_fraction": 0.0}
    )
    assert counts(description) == [1000, 0, 797, 0]
    assert np.array_equal(read_split(folder, "train").images[..., 0], images[:1000])
    assert description.splits["test"].labeled == 0


FIELDS = Path(os.environ.get("SIMCLR_TEST_DATA", "absent"), "microscopy")


@pytest.mark.skipif(not FIELDS.is_dir(), reason="SIMCLR_TEST_DATA names no folder with microscopy/")
def test_cells_of_a_real_field_of_two_channels_with_12_bits_keep_their_gray_levels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "simclr_steps")
    fields = {name: tifffile.imread(FIELDS / f"1-162hr{name}2.tif") for name in ("h2ax", "hoe")}
    places = [(top, left) for top in range(0, 960, 160) for left in range(0, 1120, 160)]
    lines = ["path.H2AX,path.Hoechst"]
    for number, (top, left) in enumerate(places):
        lines.append(f"{number}a.tif,{number}b.tif")
        for letter, field in zip("ab", fields.values(), strict=True):
            tifffile.imwrite(tmp_path / f"{number}{letter}.tif", field[top : top + 32, left : left + 32])
    (tmp_path / "cells.csv").write_text("\n".join(lines))
    block = {"source": "folder", "path": str(tmp_path / "cells.csv"), "image_size": 32, "bits": 16}
    settings = {"channels": ["H2AX", "Hoechst"], "value_range": [0, 4095], "test_fraction": 0.0}
    folder, description = run(tmp_path, {**block, **settings})
    form = description.image_format
    assert (form.dtype, form.bits, form.channel_names) == ("uint16", 16, ["H2AX", "Hoechst"])
    packed = np.load(folder / "train.images.npy")
    for name, image in zip(sources(folder, "train"), packed, strict=True):
        top, left = places[int(name.removesuffix("a.tif"))]
        cell = np.stack([field[top : top + 32, left : left + 32] for field in fields.values()], axis=-1)
        assert np.array_equal(np.rint(image / 65535 * 4095), cell)  # not one gray level is lost
    assert (
        "uint16 values, packed in 16 bits, range: H2AX 0 to 4095 (0.00 % of the pixels saturate), Hoechst"
        in caplog.text
    )
    found = run(tmp_path, {**block, **settings, "value_range": "auto", "bits": 8}, out="auto")[1]
    (low, high), _ = found.image_format.value_range
    assert 294 <= low < high <= 4095
    assert np.unique(np.load(tmp_path / "auto" / "train.images.npy")).size > 200
