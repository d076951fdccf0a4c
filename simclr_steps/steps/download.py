"""Get the original files of a data set and verify them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from simclr_steps.data.fetching import fetch
from simclr_steps.data.known_sets import ImageSet, Original, image_set, set_name
from simclr_steps.files import write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.settings.datasets import ArraysDataset, Dataset, DigitsDataset, FolderDataset, TorchvisionDataset

# Where the makers of the sets, and for MNIST those of torchvision, publish the files.
OFFICIAL_ADDRESSES = {
    "CIFAR10": ["https://www.cs.toronto.edu/~kriz/"],
    "CIFAR100": ["https://www.cs.toronto.edu/~kriz/"],
    "MNIST": ["https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"],
    "FashionMNIST": ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"],
    "KMNIST": ["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
    "SVHN": ["http://ufldl.stanford.edu/housenumbers/"],
    "STL10": ["http://ai.stanford.edu/~acoates/stl10/"],
}


def download(dataset: Dataset, *, folder: Path, out: Path) -> None:
    """Leave verified originals in `folder`, or find them in the data set's `path`, and list them in `out`.

    `out` is JSON: the data set's name, for each file its name, absolute path, size in bytes and checksum, and the
    record of the run.

    Raises
    ------
    UserError
        When a file is not to be had or is not the original, the disk is full, or the source needs no download.
    """
    if isinstance(dataset, FolderDataset | ArraysDataset):
        raise UserError(f"source: {dataset.source} is already on disk and needs no download: run prepare")
    record = Record("download", dataset, None)
    known_set = image_set(dataset)
    if isinstance(dataset, TorchvisionDataset) and dataset.path is not None:
        paths = _find(known_set, Path(dataset.path))
    else:
        bases = _base_addresses(dataset)
        paths = {file: fetch(file, [base + file.name for base in bases], folder) for file in known_set.originals}
    files = [
        {"name": file.name, "path": str(path.absolute()), "size": path.stat().st_size, file.algorithm: file.checksum}
        for file, path in paths.items()
    ]
    write_json(out, {"dataset": set_name(dataset), "files": files, "run": record.finish()})


def _base_addresses(dataset: DigitsDataset | TorchvisionDataset) -> list[str]:
    if isinstance(dataset, DigitsDataset):
        return [_scikit_learn_data()]
    return OFFICIAL_ADDRESSES[dataset.name] + [mirror.rstrip("/") + "/" for mirror in dataset.mirrors]


def _scikit_learn_data() -> str:
    """Return the address of scikit-learn's own images, without importing it."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the digits come with scikit-learn", name="sklearn")
    return (Path(spec.origin).parent / "datasets" / "data").as_uri() + "/"


def _find(known_set: ImageSet, path: Path) -> dict[Original, Path]:
    """Return the verified originals below a user's folder, in which nothing is changed."""
    paths: dict[Original, Path] = {}
    for original in known_set.originals:
        paths |= _find_one(original, [path, path / known_set.folder])
    log.info("%s contains all original files; their checksums are correct", path)
    return paths


def _find_one(original: Original, folders: Iterable[Path]) -> dict[Original, Path]:
    """Return a file in one of the folders, or else all members of that archive."""
    wrong: list[Path] = []
    for files in filter(None, [(original,), original.members]):
        for folder in folders:
            paths = {file: folder / file.name for file in files}
            if all(path.is_file() for path in paths.values()):
                changed = [path for file, path in paths.items() if not file.matches(path)]
                if not changed:
                    return paths
                wrong += changed
    if wrong:
        raise UserError(f"path: {wrong[0]} is not the original (its checksum is wrong): replace it or omit `path`")
    members = ", ".join(member.name for member in original.members)
    missing = f"neither {original.name} nor all of {members}" if members else f"no {original.name}"
    places = " or ".join(map(str, dict.fromkeys(folders)))
    raise UserError(f"path: there is {missing} in {places}: put it there or omit `path`")
