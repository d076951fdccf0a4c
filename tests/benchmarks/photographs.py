"""JPEG files, and how fast they are decoded and resized: by a plain loop of Pillow, by `prepare` and by `embed`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from simclr_steps.settings.datasets import FolderDataset
from simclr_steps.settings.pretrain import PretrainSettings
from tests.benchmarks.commands import Cost, cost
from tests.benchmarks.data import STEP, write_network

SIDE, READ_AT = 500, 64  # pixels of a file, and of the image that is made of it
_MARGIN = 100  # pixels by which the place of the cut varies


def write_photographs(folder: Path, count: int) -> tuple[Path, str]:
    """Write JPEG files cut at random from the photographs of SIMCLR_TEST_DATA or, without any, from smooth noise.

    Returns the folder, and what was cut.
    """
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    whole, what = _whole_images(draw)
    for number in range(count):
        left, top = (int(shift) for shift in draw.integers(0, _MARGIN, 2))
        cut = whole(number).crop((left, top, left + SIDE, top + SIDE))
        cut.save(folder / f"{number:05}.jpg", quality=90)
    return folder, what


def originals() -> list[Path]:
    """Return the photographs of SIMCLR_TEST_DATA, if there are any."""
    given = os.environ.get("SIMCLR_TEST_DATA")
    return sorted(Path(given, "photos").rglob("*.jpg")) if given else []


def _whole_images(draw: np.random.Generator) -> tuple[Callable[[int], Image.Image], str]:
    size = (SIDE + _MARGIN, SIDE + _MARGIN)
    files = originals()

    def photograph(number: int) -> Image.Image:
        with Image.open(files[number % len(files)]) as image:
            return image.convert("RGB").resize(size)

    def noise(_: int) -> Image.Image:
        return Image.fromarray(draw.integers(0, 256, (60, 60, 3), dtype=np.uint8)).resize(size)

    return (photograph, "JPEG photographs") if files else (noise, "JPEG files of noise")


def seconds_of_loop(folder: Path) -> float:
    """Return the time of Pillow's loop, in as many processes as there are cores."""
    started = time.perf_counter()
    files = sorted(folder.iterdir())
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        assert len(list(pool.map(_read, files, chunksize=64))) == len(files)
    return time.perf_counter() - started


def _read(file: Path) -> None:
    with Image.open(file) as image:
        image.convert("RGB").resize((READ_AT, READ_AT), Image.Resampling.BILINEAR)


def prepare(images: Path, out: Path) -> Cost:
    """Pack a folder of photographs, from the start of the command to its end."""
    block = FolderDataset(
        source="folder", path=str(images), image_size=READ_AT, channels=3, validation_fraction=0, test_fraction=0
    )
    workers = f"--workers={os.cpu_count() or 1}"
    return cost([*STEP, "prepare", "--settings", block.model_dump_json(), "--out", out, workers])


def embed(encoder: Path, images: Path, out: Path) -> Cost:
    """Compute the features of a folder of photographs, from the start of the command to its end."""
    return cost([*STEP, "embed", "--encoder", encoder, "--images", images, "--out", out, "--gpus=0"])


def write_encoder(path: Path) -> Path:
    """Write a ResNet-18 with random weights and the stem for ImageNet, for images of `READ_AT` × `READ_AT` pixels."""
    return write_network(path, PretrainSettings(encoder="resnet18", stem="imagenet"), (READ_AT, READ_AT), 3)
