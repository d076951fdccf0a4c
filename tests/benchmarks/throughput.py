"""Images per second of trainings of one encoder: this workflow's, the bare step, others'; and of the views alone."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from simclr_steps.data.packed import read_description, read_split
from simclr_steps.files import read_table
from simclr_steps.machine.options import Hardware, Saving
from simclr_steps.machine.processes import keep_freed_memory
from simclr_steps.methods import random_numbers
from simclr_steps.methods.loss import nt_xent
from simclr_steps.methods.views import random_views
from simclr_steps.networks.architecture import Architecture, resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.networks.precision import allow_tf32, resolve_precision
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.pretrain import FittedPretrain
from simclr_steps.steps.pretrain import pretrain
from simclr_steps.training.optimizers import build_optimizer, scaled_learning_rate
from simclr_steps.training.replayed import Replayed
from tests.benchmarks import lightly_loop
from tests.benchmarks.pillow_loader import pillow_loader

WARMUP_STEPS = 3


def settings(batch: int, epochs: int, encoder: str = "resnet18") -> FittedPretrain:
    """Return lightly's own benchmark of SimCLR on CIFAR-10 as settings of this workflow."""
    augmentation = Augmentation(
        crop_scale=(0.08, 1.0), brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, grayscale_probability=0.2
    )
    return FittedPretrain(encoder=encoder, global_batch_size=batch, epochs=epochs, augmentation=augmentation)


def end_to_end(data: Path, chosen: FittedPretrain, hardware: Hardware, saving: Saving) -> float:
    """Return the images/s of a whole pretraining after its first epoch: loop, images, views, step, saves."""
    images, seconds, _ = _trained(data, chosen, hardware, saving)
    return images / seconds


def share_of_training(data: Path, chosen: FittedPretrain, hardware: Hardware, saving: Saving) -> float:
    """Return the share of a whole pretraining's time after its first epoch in which it trains.

    In the rest it judges the hold-out, logs and saves. Of one run, so that a machine's moods matter little.
    """
    _, seconds, training = _trained(data, chosen, hardware, saving)
    return training / seconds


def _trained(data: Path, chosen: FittedPretrain, hardware: Hardware, saving: Saving) -> tuple[int, float, float]:
    """Pretrain; return images, seconds, and the seconds of training alone of all epochs but the first."""
    with tempfile.TemporaryDirectory() as folder:
        out, work = Path(folder) / "out", Path(folder) / "work"
        pretrain(chosen, data=data, seed=0, out=out, work=work, hardware=hardware, saving=saving)
        first, *rows = read_table(out / "history.csv")[1:]
    images = (int(rows[-1]["step"]) - int(first["step"])) * chosen.global_batch_size
    training = sum(images / len(rows) / float(row["images_per_second"]) for row in rows)
    return images, float(rows[-1]["seconds"]) - float(first["seconds"]), training


def bare_step(data: Path, chosen: FittedPretrain, hardware: Hardware, steps: int, mode: str | None = None) -> float:
    """Return the images/s of forward, loss, backward and update on one fixed batch of views.

    Network, memory format, precision and optimizer are those of the pretraining; compile "auto" stands for "never".
    `mode` is torch.compile's, where it is compiled; the pretraining's own is None.
    """
    device = hardware.claim().device
    update = _update(data, chosen, hardware, mode)
    read = _architecture(data, chosen)
    x = torch.rand(chosen.views * chosen.global_batch_size, read.channels, *read.image_size, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    return _rate(itertools.repeat(lambda: update(x)), steps, device) * chosen.global_batch_size


def torchvisions(data: Path, chosen: FittedPretrain, hardware: Hardware, steps: int, workers: int) -> float:
    """Return the images/s of the bare step on views that worker processes make with torchvision's transforms.

    The views are of the pretraining's kind, without blur; the network runs as fast as the pretraining's.
    """
    from torchvision.transforms import v2

    device, wanted = hardware.claim().device, chosen.augmentation
    size = _architecture(data, chosen).image_size
    jitter = v2.ColorJitter(wanted.brightness, wanted.contrast, wanted.saturation, wanted.hue)
    one_view = v2.Compose(
        [
            v2.RandomResizedCrop(size, wanted.crop_scale, wanted.crop_ratio),
            v2.RandomHorizontalFlip(wanted.horizontal_flip_probability),
            v2.RandomApply([jitter], wanted.jitter_probability),
            v2.RandomGrayscale(wanted.grayscale_probability),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    views = _Several(one_view, chosen.views)
    update = _update(data, chosen, hardware, None)

    def train_on(batch: list[Tensor]) -> Callable[[], None]:
        def step() -> None:
            x = torch.cat([view.to(device, non_blocking=True) for view in batch])
            update(x.contiguous(memory_format=torch.channels_last))

        return step

    loader = pillow_loader(data, views, chosen.global_batch_size, device, workers)
    return _rate(map(train_on, _forever(loader)), steps, device) * chosen.global_batch_size


class _Several:
    """Makes several views of an image; a class, so that worker processes can be given it."""

    def __init__(self, one_view: Callable[[Any], Tensor], views: int) -> None:
        self._one_view, self._views = one_view, views

    def __call__(self, image: Any) -> list[Tensor]:
        return [self._one_view(image) for _ in range(self._views)]


def _update(data: Path, chosen: FittedPretrain, hardware: Hardware, mode: str | None) -> Callable[[Tensor], None]:
    """Return the model step: forward, loss, backward and update on views, [V·B, C, H, W] and channels_last."""
    device = hardware.claim().device
    gpu = device.type == "cuda"
    precision = resolve_precision(chosen.precision, gpu=gpu)
    allow_tf32(precision)
    torch.backends.cudnn.benchmark = True
    if not gpu:
        keep_freed_memory()
    encoder = _encoder(data, chosen).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if hardware.compile == "always":
        encoder.compile(mode=mode)
    optimizer = build_optimizer([encoder.parameters()], chosen, scaled_learning_rate(chosen))

    def update(x: Tensor) -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            _, projections = encoder(x)
        nt_xent(projections.reshape(chosen.views, chosen.global_batch_size, -1), chosen.temperature).backward()
        optimizer.step()
        optimizer.zero_grad()

    return update


def views(data: Path, chosen: FittedPretrain, hardware: Hardware, steps: int) -> float:
    """Return the images/s of the augmentation alone, compiled as a pretraining does it if compile is "always"."""
    device = hardware.claim().device
    make_views = torch.compile(random_views) if hardware.compile == "always" else Replayed(random_views)
    if device.type != "cuda":
        keep_freed_memory()
    images = torch.from_numpy(np.array(read_split(data, "train").images[: chosen.global_batch_size])).to(device)
    indices, size = torch.arange(len(images), device=device), _architecture(data, chosen).image_size

    def step(epoch: int) -> Callable[[], None]:
        def make() -> None:
            make_views(images, random_numbers.keys(0, epoch, indices, chosen.views), chosen.augmentation, size)

        return make

    return _rate(map(step, itertools.count()), steps, device) * len(images)


def lightlys(
    data: Path, chosen: FittedPretrain, hardware: Hardware, steps: int, workers: int, precision: str = "fp32"
) -> float:
    """Return the images/s of lightly's transform, loss and benchmark settings, without the cost of a trainer.

    Its own precision is fp32. Raises ImportError where lightly is not installed.
    """
    device = hardware.claim().device
    loader = pillow_loader(data, lightly_loop.transform(), chosen.global_batch_size, device, workers)
    training = lightly_loop.Training(_encoder(data, chosen).to(device), chosen, device, precision)

    def train_on(views: list[Tensor]) -> Callable[[], None]:
        return lambda: training.step(views)

    return _rate(map(train_on, _forever(loader)), steps, device) * chosen.global_batch_size


def _forever(loader: DataLoader[list[Tensor]]) -> Iterator[list[Tensor]]:
    return itertools.chain.from_iterable(itertools.repeat(loader))


def _encoder(data: Path, chosen: FittedPretrain) -> Encoder:
    return Encoder(_architecture(data, chosen))


def _architecture(data: Path, chosen: FittedPretrain) -> Architecture:
    description = read_description(data)
    return resolve(chosen, description.image_format)


def _rate(steps: Iterator[Callable[[], None]], count: int, device: torch.device) -> float:
    """Return the steps per second of `count` of them, after a few that are not timed."""
    for step in itertools.islice(steps, WARMUP_STEPS):
        step()
    _wait_for(device)
    started = time.perf_counter()
    for step in itertools.islice(steps, count):
        step()
    _wait_for(device)
    return count / (time.perf_counter() - started)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
