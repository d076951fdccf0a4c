"""What an encoder is compared with: pixels, random weights, those that it starts from, and encoders off the shelf."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import Seed, Settings, did_you_mean, require_short
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.settings.network import ENCODERS
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.sizes import ViewSize
from simclr_steps.settings.weights import PublishedWeights, require_tag

_PREFIX = re.compile(r"(\w+):[^/\\]*")  # of a name; a path has a separator, or no colon
_LONGEST_STEM = 64  # bytes of a file's name in that of a folder
_TIMM = re.compile(r"timm:[\w.]+")


class Network(Settings):
    """The network of a pretraining, whatever its weights are."""

    encoder: str
    stem: Literal["auto", "small", "imagenet"] = "auto"
    view_size: ViewSize | None = None

    def named(self, weights: str, seed: int | None = None) -> str:
        """Return a name for a folder, which no other network has: random-resnet18-seed0."""
        size = self.view_size
        sides = [] if size is None else ["x".join(map(str, size)) if isinstance(size, tuple) else str(size)]
        stem = [] if self.stem == "auto" else [self.stem]
        drawn = [] if seed is None else [f"seed{seed}"]
        return "-".join([weights, self.encoder.replace(":", "="), *stem, *sides, *drawn])


class RandomNetwork(Network):
    """A network with random weights, which depends on nothing else of a pretraining."""

    seed: Seed

    @property
    def name(self) -> str:
        """A name for a folder."""
        return self.named("random", self.seed)


class StartingNetwork(Network):
    """The network with the weights that a pretraining starts from, where these are given."""

    init: str  # published, or the path of a file

    @property
    def as_pretraining(self) -> PretrainSettings:
        """A pretraining that begins with these weights."""
        return PretrainSettings(**dict(self))

    @property
    def name(self) -> str:
        """A name for a folder; files of one name in different folders have different ones."""
        path = hashlib.sha256(os.fsencode(os.path.normpath(self.init))).hexdigest()[:8]
        weights = "published" if self.published else f"{_start(_in_a_name(Path(self.init)))}-{path}"
        return self.named(f"start-{weights}")

    @model_validator(mode="after")
    def _check_init(self) -> Self:
        if not self.as_pretraining.starts_from_weights:
            raise ValueError("init must be published or the path of a file of weights; random weights take a seed")
        return self

    @property
    def published(self) -> PublishedWeights | None:
        """The published weights, None of a file."""
        return self.as_pretraining.published_weights

    @property
    def file(self) -> Path | None:
        """The user's file, None of published weights."""
        return self.as_pretraining.own_weights


class OffTheShelf(Settings):
    """An encoder that is to be had without a training: published, or in a file. Text is short for `{weights: text}`."""

    weights: str = Field(description="`torchvision:NAME`, `timm:NAME.TAG`, or the path of a file of weights.")
    encoder: str | None = Field(
        None,
        description="The network whose weights a file holds: `timm:NAME`, or a torchvision network. null recognizes "
        "encoders of this workflow and torchvision's networks by their tensors.",
    )

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, value: str) -> str:
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

    @field_validator("encoder")
    @classmethod
    def _check_encoder(cls, value: str | None, others: ValidationInfo) -> str | None:
        if value is not None and not (value in ENCODERS or _TIMM.fullmatch(value)):
            raise ValueError(f"must be timm:NAME or a ResNet of torchvision; {did_you_mean(value, ENCODERS)}")
        if value is not None and _PREFIX.fullmatch(others.data.get("weights", "")):
            raise ValueError("must be omitted, as published weights name their network, or weights must be a path")
        return value

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
        return f"file={_in_a_name(Path(self.weights))}"

    @property
    def title(self) -> str:
        """A name for readers; torchvision's weights are all trained on ImageNet."""
        kind, _, name = self.weights.partition(":")
        if not self.published:
            return f"file {Path(self.weights).name}"
        return f"ImageNet ({name})" if kind == "torchvision" else name


def _in_a_name(path: Path) -> str:
    return re.sub(r"[^\w.-]", "_", path.stem)


def _start(stem: str) -> str:
    """Return as many of the first letters as a name may have bytes."""
    return stem.encode()[:_LONGEST_STEM].decode(errors="ignore")


class ComparedSettings(EvaluationSettings):
    """The features that an encoder's are compared with, and how they are evaluated, which is as its own are."""

    network: RandomNetwork | StartingNetwork | OffTheShelf | None  # None: the pixels themselves

    @property
    def encoder(self) -> str:
        """The name of the encoder whose code may be the user's own, "" for the pixels and for what is off the shelf."""
        return self.network.encoder if isinstance(self.network, Network) else ""

    @property
    def input(self) -> str:
        """What the features are called in results and tables."""
        if isinstance(self.network, OffTheShelf):
            return self.network.title
        if isinstance(self.network, StartingNetwork):
            return "start"
        return "random" if self.network else "pixels"

    @property
    def seed(self) -> int | None:
        """The seed of random weights."""
        return self.network.seed if isinstance(self.network, RandomNetwork) else None

    @property
    def published(self) -> PublishedWeights | None:
        """The published weights that are to be downloaded, if any."""
        return self.network.published if isinstance(self.network, StartingNetwork | OffTheShelf) else None

    @property
    def file(self) -> Path | None:
        """The user's file of weights, if it is one."""
        return self.network.file if isinstance(self.network, StartingNetwork | OffTheShelf) else None


def _as_block(value: Any) -> Any:
    """Return an entry as a block, which a text is the weights of."""
    return {"weights": value} if isinstance(value, str) else value


WeightsToCompare = Annotated[OffTheShelf, BeforeValidator(_as_block, json_schema_input_type=str | OffTheShelf)]


def random_network(pretrain: PretrainSettings, seed: int) -> RandomNetwork:
    """Return the network of a pretraining with random weights."""
    return RandomNetwork(encoder=pretrain.encoder, stem=pretrain.asked_stem, view_size=pretrain.view_size, seed=seed)


def starting_network(pretrain: PretrainSettings) -> StartingNetwork:
    """Return the network of a pretraining with the weights that it is given."""
    return StartingNetwork(
        encoder=pretrain.encoder, stem=pretrain.asked_stem, view_size=pretrain.view_size, init=pretrain.init
    )


def off_the_shelf(weights: Iterable[OffTheShelf]) -> dict[str, OffTheShelf]:
    """Return encoders off the shelf by the names of folders.

    Raises
    ------
    UserError
        When two of them would share a folder, or its name is too long.
    """
    found: dict[str, OffTheShelf] = {}
    for one in weights:
        require_short(one.name, f"compare: {one.weights}", "rename the file")
        if found.setdefault(one.name, one) != one:
            raise UserError(
                f"compare: {found[one.name].weights} and {one.weights} would share the folder {one.name}: rename one "
                "of the files"
            )
    return found


def compared(
    pretrain: PretrainSettings, seed: int, weights: Iterable[OffTheShelf]
) -> dict[str, RandomNetwork | StartingNetwork | OffTheShelf | None]:
    """Return what a pretraining from a seed is compared with, by the names of folders."""
    untrained = random_network(pretrain, seed)
    given = [starting_network(pretrain)] if pretrain.starts_from_weights else []
    return {"pixels": None, untrained.name: untrained, **{one.name: one for one in given}, **off_the_shelf(weights)}
