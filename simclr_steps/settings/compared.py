"""What an encoder is compared with: the pixels, and a network with random weights."""

from __future__ import annotations

from typing import Literal

from simclr_steps.settings.base import Seed, Settings
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.sizes import ViewSize


class RandomNetwork(Settings):
    """A network with random weights, which depends on nothing else of a pretraining."""

    encoder: str
    stem: Literal["auto", "small", "imagenet"] = "auto"
    view_size: ViewSize | None = None
    seed: Seed

    @property
    def name(self) -> str:
        """A name for a folder, which no other network has: random-resnet18-seed0."""
        size = self.view_size
        sides = [] if size is None else ["x".join(map(str, size)) if isinstance(size, tuple) else str(size)]
        stem = [] if self.stem == "auto" else [self.stem]
        return "-".join(["random", self.encoder.replace(":", "="), *stem, *sides, f"seed{self.seed}"])


class ComparedSettings(EvaluationSettings):
    """The features that an encoder's are compared with, and how they are evaluated, which is as its own are."""

    network: RandomNetwork | None  # None: the pixels themselves

    @property
    def encoder(self) -> str:
        """The name of the network's encoder, "" for the pixels."""
        return self.network.encoder if self.network else ""


def random_network(pretrain: PretrainSettings, seed: int) -> RandomNetwork:
    """Return the network of a pretraining with random weights."""
    return RandomNetwork(encoder=pretrain.encoder, stem=pretrain.asked_stem, view_size=pretrain.view_size, seed=seed)


def compared(pretrain: PretrainSettings, seed: int) -> dict[str, RandomNetwork | None]:
    """Return what a pretraining from a seed is compared with, by the names of folders."""
    network = random_network(pretrain, seed)
    return {"pixels": None, network.name: network}
