"""The images that a GPU is measured on: CIFAR-10, those of its training batches that are at hand, or random ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simclr_steps.data.known_sets import IMAGE_SETS
from simclr_steps.data.originals import Originals
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.config import Config
from tests.benchmarks import data

_CIFAR10 = IMAGE_SETS["CIFAR10"]
_HOLD_OUT = 0.1  # where the test batch is not at hand


@dataclass(frozen=True)
class Images:
    """Images, and how to pack them into a folder."""

    name: str
    description: str  # for the record
    pack: Callable[[Path], Path]


def choose_images(root: Path | None, recipe: Config, count: int) -> Images:
    """Return the images that lie in `root`, as torchvision keeps them, or `count` random ones if it is None.

    Raises UserError when it holds no training batch of CIFAR-10.
    """
    if root is None:
        what = f"{count:,} random images of CIFAR-10's size"
        return Images(f"random-{count}", what, lambda folder: data.random_images(folder, count))
    if _is_complete(root):
        block = {**recipe.datasets["cifar10"].model_dump(mode="json", exclude_unset=True), "path": str(root)}
        return Images("cifar10", "CIFAR-10", lambda folder: data.pack(block, folder))
    batches = [name for name in _CIFAR10.splits["train"] if (root / _CIFAR10.folder / name).exists()]
    if not batches:
        raise UserError(f"--cifar10 {root}: {root / _CIFAR10.folder} holds no training batch of CIFAR-10")
    return Images(
        "-".join(["cifar10", *(name.removeprefix("data_batch_") for name in batches)]),
        f"{', '.join(batches)} of CIFAR-10, of which {_HOLD_OUT:g} are held out as the test split",
        lambda folder: pack_batches(root, batches, folder),
    )


def _is_complete(root: Path) -> bool:
    (archive,) = _CIFAR10.originals
    members = [root / _CIFAR10.folder / member.name for member in archive.members]
    return (root / archive.name).exists() or all(file.exists() for file in members)


def pack_batches(root: Path, batches: list[str], folder: Path) -> Path:
    """Pack some training batches of CIFAR-10, once their checksums are found right, with a test split drawn of them."""
    with Originals(_CIFAR10, {name: root / _CIFAR10.folder / name for name in batches}) as files:
        contents = [files.unpickle(name) for name in batches]
    planes = np.concatenate([content[b"data"] for content in contents]).reshape(-1, 3, 32, 32)
    arrays = folder / "arrays"
    arrays.mkdir(parents=True)
    np.save(arrays / "train_images.npy", planes.transpose(0, 2, 3, 1))
    np.save(arrays / "train_labels.npy", np.concatenate([content[b"labels"] for content in contents]))
    fractions = {"validation_fraction": 0.0, "test_fraction": _HOLD_OUT}
    return data.pack({"source": "arrays", "path": str(arrays), **fractions}, folder)
