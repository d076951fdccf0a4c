"""Packed data sets that benchmarks train on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Classifier, Encoder, save_network
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.pretrain import PretrainSettings

STEP = [sys.executable, "-m", "simclr_steps"]
REPOSITORY = Path(__file__).parents[2]
_IMAGES_AT_A_TIME = 10_000


def digits(folder: Path) -> Path:
    """Pack scikit-learn's 1,797 digits of 8 × 8 pixels."""
    return pack({"source": "digits"}, folder)


def cifar10(folder: Path, images: int | None = None, *, hold_out: bool = False) -> tuple[Path, str]:
    """Pack CIFAR-10 and say what it is: the real images of the folder SIMCLR_TEST_DATA, or else random ones like them.

    `images` are packed for training and none held out, or as many if there is to be a `hold_out`; None packs all, with
    a hold-out.
    """
    originals = os.environ.get("SIMCLR_TEST_DATA")
    if not originals:
        return random_images(folder, images or 50_000, hold_out=hold_out), "random images of CIFAR-10's size"
    few: dict[str, Any] = {"subset": images, "validation_fraction": 0.5 if hold_out else 0.0} if images else {}
    return pack({"source": "torchvision", "name": "CIFAR10", "path": originals, **few}, folder), "CIFAR-10"


def random_images(folder: Path, count: int, *, hold_out: bool = False) -> Path:
    """Pack `count` random images of 32 × 32 pixels and 3 channels for training and, if asked for, as many held out."""
    count *= 1 + hold_out
    arrays = folder / "arrays"
    arrays.mkdir(parents=True)
    images = np.lib.format.open_memmap(arrays / "train_images.npy", "w+", np.uint8, (count, 32, 32, 3))
    draw = np.random.default_rng(0)
    for start in range(0, count, _IMAGES_AT_A_TIME):
        part = images[start : start + _IMAGES_AT_A_TIME]
        part[:] = draw.integers(0, 256, part.shape, dtype=np.uint8)
    images.flush()
    fractions = {"validation_fraction": 0.5 if hold_out else 0.0, "test_fraction": 0.0}
    packed = pack({"source": "arrays", "path": str(arrays), **fractions}, folder)
    shutil.rmtree(arrays)
    return packed


def features(folder: Path, packed: Path, count: int) -> Path:
    """Write what gather would of an encoder for `count` training images: 512 features around 10 centers, the classes.

    The packed data set, which knows no classes, gets their names.
    """
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    labels = np.arange(count) % 10
    values = draw.normal(size=(10, 512))[labels] + draw.normal(size=(count, 512))
    np.save(folder / "backbone.npy", values.astype(np.float32))
    np.save(folder / "projection_head.npy", values[:, :128].astype(np.float32))
    names = [f"class {label}" for label in labels]
    sources = [f"{name}/{row:05}.png" for row, name in enumerate(names)]
    rows = {"row": range(count), "source": sources, "label": pd.Series(labels, dtype="Int64"), "class": names}
    pd.DataFrame(rows).to_parquet(folder / "rows.parquet", index=False)
    description = json.loads((packed / "dataset.json").read_text())
    description["classes"] = sorted(set(names))
    (packed / "dataset.json").write_text(json.dumps(description))
    data_hash = description["pixel_hash"]
    (folder / "run.json").write_text(json.dumps({"split": "train", "run": {"data_hash": data_hash}}))
    return folder


def write_network(
    path: Path,
    settings: PretrainSettings,
    image_size: tuple[int, int],
    channels: int,
    classes: Sequence[str] = (),
) -> Path:
    """Write an encoder with random weights or, with classes, a classifier."""
    torch.manual_seed(0)
    architecture = resolve(settings, ImageFormat.of_8_bits(image_size, channels))
    if classes:
        save_network(path, Classifier(architecture, len(classes), "linear"), list(classes))
    else:
        save_network(path, Encoder(architecture))
    return path


def pack(block: dict[str, Any], folder: Path) -> Path:
    """Download and prepare a block of `datasets` in `folder`; return the folder of the packed arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    settings, originals, packed = json.dumps(block), folder / "originals.json", folder / "packed"
    options: list[str | Path] = []
    if block["source"] not in ("arrays", "folder"):  # which need no download
        _run("download", "--settings", settings, "--folder", folder, "--out", originals)
        options = ["--originals", originals]
    _run("prepare", "--settings", settings, "--out", packed, *options)
    _run("label", "--settings", settings, "--data", packed, "--out", packed, *options)
    return packed


def _run(*arguments: str | Path) -> None:
    subprocess.run([*STEP, *arguments], cwd=REPOSITORY, check=True)
