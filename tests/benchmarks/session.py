"""What all parts of a benchmark of a GPU know: options, hardware, time, settings and images."""

from __future__ import annotations

import argparse
import shutil
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from simclr_steps.machine.options import Hardware
from simclr_steps.settings.config import Config
from simclr_steps.settings.pretrain import PretrainSettings
from tests.benchmarks.images import Images, choose_images
from tests.benchmarks.recipe import read_pretrain, read_recipe


@dataclass(frozen=True)
class Session:
    """One run of the benchmark."""

    options: argparse.Namespace
    hardware: Hardware
    leave_by: float  # on time.monotonic()'s clock

    @cached_property
    def recipe(self) -> Config:
        """The config that the data set and the fine-tunings are of."""
        return read_recipe(self.options.recipe)

    @cached_property
    def chosen(self) -> PretrainSettings:
        """The block of the pretraining."""
        return read_pretrain(self.options.recipe, self.options.pretrain)

    @cached_property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.hardware.claim().device

    @cached_property
    def images(self) -> Images:
        """The images that are at hand."""
        return choose_images(self.options.cifar10, self.recipe, self.options.images)

    @property
    def folder(self) -> Path:
        """The folder of these images and of all that is trained on them."""
        folder: Path = self.options.work / self.images.name
        return folder

    @cached_property
    def packed(self) -> Path:
        """The images, packed when they are first asked for."""
        packed = self.folder / "packed"
        if not (packed / "dataset.json").exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.images.pack(self.folder)
        return packed

    @property
    def trained(self) -> Path:
        """The folder of this pretraining and its seed."""
        return self.folder / f"{self.options.pretrain}-seed{self.options.seed}"

    def seconds_left(self) -> float:
        """Return the time until the benchmark has to leave."""
        return max(0.0, self.leave_by - time.monotonic())

    def limit(self) -> float:
        """Return how many seconds a contestant may take."""
        return min(float(self.options.limit), self.seconds_left())
