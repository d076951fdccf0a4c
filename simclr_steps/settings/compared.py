"""What an encoder is compared with: the pixels, a network with random weights, and encoders off the shelf."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import Seed, Settings, did_you_mean
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.settings.network import ENCODERS
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.sizes import ViewSize
from simclr_steps.settings.weights import PublishedWeights, require_tag

_PREFIX = re.compile(r"(\w+):[^/\\]*")  # of a name; a path has a separator, or no colon


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


class OffTheShelf(Settings):
    """An encoder that is to be had without a training: published, or in a file."""

    weights: str  # torchvision:NAME, timm:NAME.TAG or a path

    @property
    def published(self) -> PublishedWeights | None:
        """The published weights, None of a file."""
        is_published = self.weights.startswith(("torchvision:", "timm:"))
        return PublishedWeights(encoder=self.weights.removeprefix("torchvision:")) if is_published else None

    @property
    def file(self) -> Path | None:
        """The user's file, None of published weights."""
        return None if self.published else Path(self.weights)

    @property
    def name(self) -> str:
        """A name for a folder: resnet50.IMAGENET1K_V2, timm=vit_tiny_patch16_224.augreg_in21k, file=encoder."""
        if self.published:
            return self.published.name
        return "file=" + re.sub(r"[^\w.-]", "_", Path(self.weights).stem)

    @property
    def title(self) -> str:
        """A name for readers; torchvision's weights are all trained on ImageNet."""
        kind, _, name = self.weights.partition(":")
        if not self.published:
            return f"file {Path(self.weights).name}"
        return f"ImageNet ({name})" if kind == "torchvision" else name


class ComparedSettings(EvaluationSettings):
    """The features that an encoder's are compared with, and how they are evaluated, which is as its own are."""

    network: RandomNetwork | OffTheShelf | None  # None: the pixels themselves

    @property
    def encoder(self) -> str:
        """The name of the encoder whose code may be the user's own, "" for the pixels and for what is off the shelf."""
        return self.network.encoder if isinstance(self.network, RandomNetwork) else ""

    @property
    def input(self) -> str:
        """What the features are called in results and tables."""
        if isinstance(self.network, OffTheShelf):
            return self.network.title
        return "random" if self.network else "pixels"

    @property
    def seed(self) -> int | None:
        """The seed of random weights."""
        return self.network.seed if isinstance(self.network, RandomNetwork) else None

    @property
    def published(self) -> PublishedWeights | None:
        """The published weights that are to be downloaded, if any."""
        return self.network.published if isinstance(self.network, OffTheShelf) else None

    @property
    def file(self) -> Path | None:
        """The user's file of weights, if it is one."""
        return self.network.file if isinstance(self.network, OffTheShelf) else None


def _check_weights(value: str) -> str:
    found = _PREFIX.fullmatch(value)
    if value in ENCODERS:
        raise ValueError(f"must be torchvision:{value}, or the path of a file of weights")
    if not found:
        return str(Path(value).expanduser())
    if found[1] not in ("torchvision", "timm"):
        raise ValueError("must be torchvision:NAME, timm:NAME.TAG or the path of a file of weights")
    kind, _, name = value.partition(":")
    if kind == "torchvision" and name not in ENCODERS:
        raise ValueError(f"must name a ResNet of torchvision; {did_you_mean(name, ENCODERS)}")
    require_tag(value)
    return value


WeightsToCompare = Annotated[str, AfterValidator(_check_weights)]


def random_network(pretrain: PretrainSettings, seed: int) -> RandomNetwork:
    """Return the network of a pretraining with random weights."""
    return RandomNetwork(encoder=pretrain.encoder, stem=pretrain.asked_stem, view_size=pretrain.view_size, seed=seed)


def off_the_shelf(weights: Iterable[str]) -> dict[str, OffTheShelf]:
    """Return encoders off the shelf by the names of folders.

    Raises
    ------
    UserError
        When two of them would share a folder.
    """
    found: dict[str, OffTheShelf] = {}
    for one in (OffTheShelf(weights=text) for text in weights):
        if found.setdefault(one.name, one) != one:
            raise UserError(
                f"compare: {found[one.name].weights} and {one.weights} would share the folder {one.name}: rename one "
                "of the files"
            )
    return found


def compared(
    pretrain: PretrainSettings, seed: int, weights: Iterable[str]
) -> dict[str, RandomNetwork | OffTheShelf | None]:
    """Return what a pretraining from a seed is compared with, by the names of folders."""
    network = random_network(pretrain, seed)
    return {"pixels": None, network.name: network, **off_the_shelf(weights)}
