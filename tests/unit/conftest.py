"""Small real data sets and networks that tests share."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

from simclr_steps.data import decoding_processes
from simclr_steps.settings.image_format import ImageFormat
from tests.unit.digit_names import DIGITS

Images = npt.NDArray[np.uint8]  # [N, H, W, C]
DeepImages = npt.NDArray[np.uint16]  # [N, H, W, C]
Labels = npt.NDArray[np.int64]  # [N]
WritePacked = Callable[..., Path]
WriteEncoder = Callable[..., Path]


@pytest.fixture
def in_processes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode even a few images in processes of their own, if there may be several."""
    monkeypatch.setattr(decoding_processes, "_ALONE", 0)


@cache
def _all_digits() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    images, labels = load_digits(return_X_y=True)
    return images, labels


def digits(count: int, first: int = 0) -> tuple[Images, Labels]:
    """Return `count` of scikit-learn's digits, uint8 [N, 8, 8, 1], and their labels."""
    images, labels = _all_digits()
    rows = slice(first, first + count)
    packed = np.round(images[rows].reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    return packed, labels[rows].astype(np.int64)


def deep_digits(count: int, first: int = 0, channels: int = 1) -> tuple[DeepImages, Labels]:
    """Return digits of 16 bits, whose low bits are noise, and with any number of channels, and their labels."""
    images, labels = digits(count, first)
    noise = np.random.default_rng(first).integers(0, 256, (*images.shape[:3], channels), dtype=np.uint16)
    return images.astype(np.uint16) * np.uint16(256) + noise, labels


@pytest.fixture(autouse=True)
def same_draws_in_every_run() -> None:
    """Seed torch, as what a test draws must not depend on which tests ran before it in its process.

    Without torch.manual_seed, which notes the whole stack for each kind of device that it might find later.
    """
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(0)


@pytest.fixture
def write_packed(tmp_path: Path) -> WritePacked:
    """Return a function that writes a packed data set of the given splits, images and labels, and returns its folder.

    Without splits they are digits: train 200, validation 60, test 60 and unlabeled 0.
    `groups` names the group of each image. The unlabeled are put into the array of train, after its own.
    """

    def write(
        splits: Mapping[str, tuple[Images | DeepImages, Labels]] | None = None,
        *,
        classes: tuple[str, ...] = DIGITS,
        name: str = "data",
        groups: Mapping[str, list[str]] | None = None,
    ) -> Path:
        splits = splits or {
            "train": digits(200),
            "validation": digits(60, 200),
            "test": digits(60, 260),
            "unlabeled": digits(0),
        }
        folder = tmp_path / name
        folder.mkdir()
        counts: dict[str, dict[str, Any]] = {
            split: {
                "images": len(images),
                "labeled": int((labels >= 0).sum()),
                "per_class": [int((labels == label).sum()) for label in range(len(classes))],
                "groups": len(set(groups[split])) if groups else None,
            }
            for split, (images, labels) in splits.items()
        }
        none = {"images": 0, "labeled": 0, "per_class": [0] * len(classes), "groups": 0 if groups else None}
        counts.setdefault("unlabeled", none)
        arrays: dict[str, tuple[Any, Labels]] = dict(splits)
        named = {split: groups[split] if groups else [] for split in splits}
        if "unlabeled" in arrays:
            unlabeled = arrays.pop("unlabeled")
            own = arrays["train"]
            arrays["train"] = np.concatenate([own[0], unlabeled[0]]), np.concatenate([own[1], unlabeled[1]])
            named["train"] = [*named["train"], *named["unlabeled"]]
        for split, (images, labels) in arrays.items():
            np.save(folder / f"{split}.images.npy", images)
            np.save(folder / f"{split}.labels.npy", labels)
            sources = [f"{split}/{row}.png" for row in range(len(images))]
            of_classes = pd.Series([classes[label] if label >= 0 else None for label in labels], dtype="string")
            grouped = {"group": named[split]} if groups else {}
            table = pd.DataFrame({"row": range(len(images)), "source": sources, "label": of_classes, **grouped})
            table.to_parquet(folder / f"{split}.rows.parquet", index=False)
        first = next(iter(splits.values()))[0]
        height, width, channels = first.shape[1:]
        form = {
            "height": height,
            "width": width,
            "channels": channels,
            "dtype": str(first.dtype),
            "bits": 8 * first.itemsize,
            "value_range": [[0, np.iinfo(first.dtype).max]] * channels,
            "mean": [0.5] * channels,
            "std": [0.25] * channels,
        }
        packed = {
            "image_format": form,
            "images": {split: len(images) for split, (images, _) in arrays.items()},
            "skipped": {},
            "pixel_hash": f"pixels-of-{name}",
            "run": {},
        }
        (folder / "images.json").write_text(json.dumps(packed))
        description = {
            "classes": classes,
            "image_format": form,
            "splits": counts,
            "skipped": [],
            "pixel_hash": f"pixels-of-{name}",
            "content_hash": f"hash-of-{name}",
            "split_seed": 0,
            "source": {"source": "digits"},
            "run": {},
        }
        (folder / "dataset.json").write_text(json.dumps(description))
        return folder

    return write


@pytest.fixture
def data(write_packed: WritePacked) -> Path:
    """Return the folder of a packed data set of digits."""
    return write_packed()


@pytest.fixture
def write_encoder(tmp_path: Path) -> WriteEncoder:
    """Return a function that writes a network of random weights, small unless it is named, and returns its file.

    With `classes` it is a classifier. `image_format` replaces channels, size and 8 bits.
    """

    def write(
        *,
        encoder: str = "tests.own_encoders:smooth_with_batch_norm",
        channels: int = 1,
        image_size: tuple[int, int] = (8, 8),
        image_format: ImageFormat | None = None,
        classes: tuple[str, ...] | None = None,
        name: str = "encoder",
    ) -> Path:
        import torch

        from simclr_steps.networks.architecture import resolve
        from simclr_steps.networks.encoders import Classifier, Encoder, save_network
        from simclr_steps.settings.network import ProjectionHead
        from simclr_steps.settings.pretrain import PretrainSettings

        head = ProjectionHead(hidden_size=32, output_size=16)
        form = image_format or ImageFormat.of_8_bits(image_size, channels)
        architecture = resolve(PretrainSettings(encoder=encoder, projection_head=head), form)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = Classifier(architecture, len(classes), "linear") if classes else Encoder(architecture)
        path = tmp_path / f"{name}.safetensors"
        save_network(path, network, list(classes) if classes else None)
        return path

    return write


@pytest.fixture
def encoder(write_encoder: WriteEncoder) -> Path:
    """Return the file of a small encoder of random weights."""
    return write_encoder()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
