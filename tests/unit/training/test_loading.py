"""Images are the same wherever they come from, and reading them costs little memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.utils.data import Sampler

from simclr_steps.machine.errors import UserError
from simclr_steps.methods import random_numbers
from simclr_steps.methods.loss import nt_xent
from simclr_steps.methods.views import random_views
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.training.loading import Images

CPU = torch.device("cpu")


class Batches(Sampler[npt.NDArray[np.int64]]):
    """The given batches."""

    def __init__(self, batches: npt.NDArray[np.int64]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[npt.NDArray[np.int64]]:
        yield from self._batches


def random_images(count: int, side: int = 8) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def mapped(path: Path, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    np.save(path, images)
    array: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return array


def private_memory() -> int:
    """Return the bytes that this process shares with no other, pages of mapped files among them."""
    text = Path("/proc/self/smaps_rollup").read_text()
    return 1024 * sum(int(size) for size in re.findall(r"Private_(?:Clean|Dirty): +(\d+) kB", text))


def test_mapped_sliced_and_plain_arrays_give_the_images_that_were_asked_for(tmp_path: Path) -> None:
    parts = [random_images(count) for count in (5, 7, 4)]
    file = mapped(tmp_path / "second.npy", np.concatenate([random_images(3), parts[1]]))
    images = Images([mapped(tmp_path / "first.npy", parts[0]), parts[0][:0], file[3:], parts[2]])
    rows = np.random.default_rng(0).integers(0, 16, 50)
    assert len(images) == 16
    assert np.array_equal(images.read(rows), np.concatenate(parts)[rows])


def test_images_that_the_device_holds_are_those_of_their_rows(tmp_path: Path) -> None:
    parts = [random_images(count) for count in (5, 7)]
    images, rows = Images(parts), np.array([11, 0, 4, 5, 8])
    images._copy_to(CPU, rows)
    for wanted in (rows, rows[:0], np.array([8, 8, 0])):
        indices, shown = images.on_device(images.__getitems__(wanted))
        assert np.array_equal(indices, wanted) and np.array_equal(shown, np.concatenate(parts)[wanted])
        assert np.array_equal(images.fetch(wanted, CPU), np.concatenate(parts)[wanted])


@pytest.mark.parametrize("workers", [None, 2])
def test_images_of_16_bits_are_the_same_on_every_way(tmp_path: Path, workers: int | None) -> None:
    packed = np.random.default_rng(0).integers(0, 65_536, (40, 8, 8, 5), dtype=np.uint16)
    np.save(tmp_path / "images.npy", packed)
    mapped_file: npt.NDArray[np.uint16] = np.load(tmp_path / "images.npy", mmap_mode="r")
    batches = np.random.default_rng(1).permutation(40).reshape(5, 8)
    for resident in (False, True):
        images = Images([packed[:3], mapped_file[3:]])
        if resident:
            images._copy_to(CPU, np.arange(40))
        for expected, batch in zip(batches, images.loader(Batches(batches), CPU, 8, workers), strict=True):
            indices, shown = images.on_device(batch)
            assert shown.dtype == torch.uint16
            assert np.array_equal(indices, expected) and np.array_equal(shown, packed[expected])
            assert np.array_equal(images.fetch(expected, CPU), packed[expected])


@pytest.mark.parametrize("workers", [None, 2])
def test_loader_yields_whole_batches_in_their_order(tmp_path: Path, workers: int | None) -> None:
    images = random_images(40)
    batches = np.random.default_rng(1).permutation(40).reshape(5, 8)
    loader = Images([mapped(tmp_path / "images.npy", images)]).loader(Batches(batches), CPU, 8, workers)
    for expected, (indices, read) in zip(batches, loader, strict=True):
        assert np.array_equal(indices, expected) and np.array_equal(read, images[expected])


def test_reading_every_image_of_a_file_keeps_none_of_them_in_memory(tmp_path: Path) -> None:
    images = Images([mapped(tmp_path / "images.npy", random_images(20_000, side=32))])  # 61 MB
    order = np.random.default_rng(0).permutation(20_000).reshape(-1, 200)
    images.read(order[0])
    before = private_memory()
    for rows in order:
        images.read(rows)
    assert private_memory() - before < 10e6


@pytest.mark.parametrize("workers", [None, 2])
def test_file_that_is_cut_short_while_it_is_read_is_named_in_one_sentence(tmp_path: Path, workers: int | None) -> None:
    images = Images([mapped(tmp_path / "images.npy", random_images(10))])
    with (tmp_path / "images.npy").open("r+b") as file:
        file.truncate(1500)
    sentence = f"{tmp_path}/images.npy was cut short before image 9: run prepare again"
    with pytest.raises(UserError, match=f"^{sentence}$"):
        for batch in images.loader(Batches(np.array([[1, 9]])), CPU, 2, workers):
            images.on_device(batch)


@pytest.mark.gpu
@pytest.mark.parametrize("resident", [True, False])
def test_a_step_on_a_gpu_never_waits_for_it(resident: bool) -> None:
    device, packed = torch.device("cuda", 0), random_images(600, side=32)
    images = Images([packed])
    if resident:
        images.hold_on(device, np.arange(512))
    batches = np.random.default_rng(0).permutation(512).reshape(4, 128)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 16)).to(device)
    seen = []
    for number, batch in enumerate(images.loader(Batches(batches), device, 128)):
        torch.cuda.set_sync_debug_mode("error" if number else "default")  # the first step sets up libraries
        indices, shown = images.on_device([part.to(device, non_blocking=True) for part in batch])
        views = random_views(shown, random_numbers.keys(0, 0, indices, 2), Augmentation(blur_probability=0.5))
        nt_xent(encoder(views.flatten(0, 1)).reshape(2, 128, 16), 0.5).backward()
        torch.cuda.set_sync_debug_mode("default")
        seen.append((indices, shown))
    for indices, shown in seen:
        assert np.array_equal(shown.cpu(), packed[indices.cpu()])
