"""What all parts of a benchmark of a GPU know: options, hardware, time, settings and images."""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from simclr_steps.files import canonical_json, checksum
from simclr_steps.machine.options import Hardware
from simclr_steps.settings.config import Config
from simclr_steps.settings.pretrain import FittedPretrain
from tests.benchmarks.images import Images, choose_images
from tests.benchmarks.recipe import read_pretrain, read_recipe

OF_A_PRETRAINING = ("seed", "compile", "fit_epochs")  # options that a pretraining depends on


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
    def chosen(self) -> FittedPretrain:
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

    @cached_property
    def basis(self) -> dict[str, Any]:
        """What the figures of every part depend on."""
        options = self.options
        return {
            "commit": options.commit,
            "images": self.images.description,
            "gpus": options.gpus,
            "recipe": checksum(options.recipe),
            "pretrain": options.pretrain,
        }

    def made_of(self, depends_on: Sequence[str]) -> dict[str, Any]:
        """Return what the figures of a part depend on that depends on these options, too."""
        return {**self.basis, **{option: getattr(self.options, option) for option in depends_on}}

    @property
    def pretraining(self) -> str:
        """The name of this pretraining: its block, its seed and whether it is compiled."""
        return f"{self.options.pretrain}-seed{self.options.seed}-{self.options.compile}"

    @property
    def trained(self) -> Path:
        """The folder of this pretraining, another one whenever anything changes that it is made of."""
        key = sha256(canonical_json(self.made_of(OF_A_PRETRAINING)).encode()).hexdigest()[:8]
        return self.folder / f"{self.pretraining}-{key}"

    def check(self) -> None:
        """Raise UserError now for options with which every part would fail."""
        self.hardware.claim()
        read_pretrain(self.options.recipe, self.options.pretrain)
        choose_images(self.options.cifar10, self.recipe, self.options.images)

    def seconds_left(self) -> float:
        """Return the time until the benchmark has to leave."""
        return max(0.0, self.leave_by - time.monotonic())

    def limit(self) -> float:
        """Return how many seconds a contestant may take."""
        return min(float(self.options.limit), self.seconds_left())
