"""Measure what scale.py takes as given of a CPU: packing photographs, and reading packed images as a training does.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.scale_parts FOLDER

FOLDER lies on the file system that is to be measured, and gets about 1.4 GB that are removed in the end. CPU seconds
are counted, in the system and outside of it, so other work on the machine matters little; the last lines alone are
of running time.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image

from simclr_steps.data import decoding_processes
from simclr_steps.data.packed import read_images
from simclr_steps.settings.datasets import FolderDataset
from simclr_steps.steps.prepare import prepare
from simclr_steps.training.batches import GlobalBatches
from simclr_steps.training.checked_files import CheckedFiles
from simclr_steps.training.loading import Images

FEW, MANY = 400, 2048  # JPEG files
WIDTH, HEIGHT, QUALITY = 500, 375, 90
SIDE, BATCH = 224, 256
EPOCHS = 4
_DIFFERENT = 16  # photographs, each of which is in many files
_STATE_BYTES = 500_000_000


@dataclass(frozen=True)
class Used:
    """CPU seconds."""

    own: float  # of this process
    others: float  # of those that it started and that have ended


def main() -> None:
    """Print a line for each part."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as name:
        folder = Path(name)
        few, many = (pack(folder, count) for count in (FEW, MANY))
        files = MANY - FEW
        size = sum(file.stat().st_size for file in (folder / f"jpegs{MANY}").iterdir()) / MANY
        print(f"KB of a JPEG file: {size / 1e3:.0f}")
        print(f"CPU ms of prepare for each, in decoding processes: {1e3 * (many.others - few.others) / files:.2f}")
        print(f"CPU ms of prepare for each, in the process that writes: {1e3 * (many.own - few.own) / files:.2f}")
        packed = folder / f"packed{MANY}"
        used, read = read_epochs(packed, 1, EPOCHS)
        print(f"CPU µs to read an image from the cache, in a reader: {1e6 * used.others / read:.0f}")
        print(f"CPU µs to be handed it, in the training: {1e6 * used.own / read:.0f}")
        print(f"CPU µs to copy it once more, as to memory that a GPU reads: {1e6 * seconds_of_copy():.0f}")
        print(f"CPU s to save 1 GB of a training's state: {seconds_of_save(folder):.2f}")
        for readers in (1, 4):
            print(f"images/s from the disk, {readers} readers: {images_per_second(packed, readers):.0f}")


def pack(folder: Path, count: int) -> Used:
    """Return what prepare uses for `count` JPEG files, all of them decoded by other processes."""
    files = write_photographs(folder / f"jpegs{count}", count)
    dataset = FolderDataset(
        source="folder", path=str(files), image_size=SIDE, channels=3, validation_fraction=0, test_fraction=0
    )
    with patch.object(decoding_processes, "_ALONE", 0.0):
        return _used(lambda: prepare(dataset, originals=None, out=folder / f"packed{count}", workers=2))


def write_photographs(folder: Path, count: int) -> Path:
    """Write noise that is smooth at some scales and not at others, so that a file is as large as one of ImageNet's."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(count):
        file = folder / f"{number:05}.jpg"
        if number >= _DIFFERENT:
            file.write_bytes((folder / f"{number % _DIFFERENT:05}.jpg").read_bytes())
            continue
        values = np.zeros((HEIGHT, WIDTH, 3))
        for scale, weight in ((64, 0.6), (8, 0.3), (1, 0.3)):
            small = draw.integers(0, 256, (-(-HEIGHT // scale), -(-WIDTH // scale), 3), dtype=np.uint8)
            values += weight * np.asarray(Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
        Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(file, quality=QUALITY)
    return folder


def read_epochs(packed: Path, readers: int, epochs: int) -> tuple[Used, int]:
    """Return what it uses to read some epochs in shuffled order, from the cache once that has them, and the images."""
    seen = 0

    def read() -> None:
        nonlocal seen
        seen = sum(len(batch) for batch in _batches(packed, readers, epochs))

    for _ in _batches(packed, 0, 1):
        pass
    return _used(read), seen


def seconds_of_copy() -> float:
    """Return the CPU seconds of copying the pixels of one image between batches that are there already."""
    shape = (BATCH, SIDE, SIDE, 3)
    one, other = torch.ones(shape, dtype=torch.uint8), torch.ones(shape, dtype=torch.uint8)
    used = _used(lambda: [other.copy_(one) for _ in range(20)])
    return used.own / (20 * BATCH)


def seconds_of_save(folder: Path) -> float:
    """Return the CPU seconds in which a gigabyte of state is hashed and written."""
    state = {"weights": torch.ones(_STATE_BYTES, dtype=torch.uint8)}
    used = _used(lambda: CheckedFiles().save_checkpoint(state, folder / "training.ckpt"))
    return used.own * 1e9 / _STATE_BYTES


def images_per_second(packed: Path, readers: int) -> float:
    """Return the images read in a second of running time, none of which this machine's cache holds.

    A file server, a disk or a virtual machine's host may have a cache of its own.
    """
    with (packed / "train.images.npy").open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    started = time.perf_counter()
    read = sum(len(batch) for batch in _batches(packed, readers, 1))
    return read / (time.perf_counter() - started)


def _batches(packed: Path, readers: int, epochs: int) -> Iterator[torch.Tensor]:
    """Yield the images of each batch, as a training without a GPU is given them."""
    images, step = Images([read_images(packed, "train")]), 0
    batches = GlobalBatches(len(images), BATCH, 0, lambda: step)
    loader = images.loader(batches, torch.device("cpu"), BATCH, readers)
    for _ in range(epochs):
        for _, pixels in loader:
            yield pixels
        step += len(batches)


def _used(call: Callable[[], object]) -> Used:
    before, before_others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    call()
    after, after_others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return Used(_cpu(after) - _cpu(before), _cpu(after_others) - _cpu(before_others))


def _cpu(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
