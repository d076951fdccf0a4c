"""What is known of the image sets is what torchvision and scikit-learn know of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import sklearn.datasets
import torchvision.datasets as tv

from simclr_steps.data.known_sets import IMAGE_SETS, image_set
from simclr_steps.settings.datasets import Dataset
from simclr_steps.settings.reading import check

DIGITS = Path(sklearn.datasets.__file__).parent / "data/digits.csv.gz"
THEIRS = {  # file name to MD5
    "CIFAR10": {tv.CIFAR10.filename: tv.CIFAR10.tgz_md5, **dict(tv.CIFAR10.train_list + tv.CIFAR10.test_list)},
    "CIFAR100": {tv.CIFAR100.filename: tv.CIFAR100.tgz_md5, **dict(tv.CIFAR100.train_list + tv.CIFAR100.test_list)},
    "MNIST": dict(tv.MNIST.resources),
    "FashionMNIST": dict(tv.FashionMNIST.resources),
    "KMNIST": dict(tv.KMNIST.resources),
    "SVHN": {name: md5 for split, (_, name, md5) in tv.SVHN.split_list.items() if split != "extra"},
    "STL10": {tv.STL10.filename: tv.STL10.tgz_md5, **dict(tv.STL10.train_list + tv.STL10.test_list)},
}


@pytest.mark.parametrize("name", THEIRS)
def test_checksums_are_torchvisions(name: str) -> None:
    known = image_set(check(Dataset, {"source": "torchvision", "name": name}))
    ours = {file.name: file.checksum for one in known.originals for file in (one, *one.members)}
    assert ours.items() >= THEIRS[name].items()


def test_original_is_told_from_a_file_that_was_changed(tmp_path: Path) -> None:
    (original,) = image_set(check(Dataset, {"source": "digits"})).originals
    assert original.matches(DIGITS)
    changed = tmp_path / original.name
    changed.write_bytes(DIGITS.read_bytes()[:-1] + b"x")
    assert not original.matches(changed)


@pytest.mark.parametrize("name", IMAGE_SETS)
def test_the_size_of_every_download_is_known(name: str) -> None:
    assert all(original.size for original in IMAGE_SETS[name].originals)


@pytest.mark.parametrize("name", ["digits", "MNIST"])
def test_the_sizes_of_files_that_are_at_hand_are_right(name: str) -> None:
    folders = {DIGITS.parent, Path(os.environ.get("SIMCLR_TEST_DATA", DIGITS.parent))}
    found = {path.name: path for folder in folders for path in folder.rglob("*.gz")}
    sizes = {file.name: file.size for file in IMAGE_SETS[name].originals}
    if missing := sizes.keys() - found.keys():
        pytest.skip(f"SIMCLR_TEST_DATA names no folder with {', '.join(sorted(missing))}")
    assert {file: found[file].stat().st_size for file in sizes} == sizes


@pytest.mark.parametrize("name", IMAGE_SETS)
def test_every_split_is_read_from_originals(name: str) -> None:
    known = IMAGE_SETS[name]
    files = {file.name for one in known.originals for file in (one.members or (one,))}
    assert {"train"} <= set(known.splits)
    assert {file for names in known.splits.values() for file in names} <= files
