"""What a fine-tuning is given: its block and, where it starts from no pretraining, the network."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.compared import Network
from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.settings.network import ENCODERS
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.weights import PublishedWeights, require_tag


class FinetunedSettings(FinetuneSettings):
    """A block of `finetunes`, and the network whose weights are random or published."""

    network: Network | None = Field(None, validate_default=True)

    @field_validator("network")
    @classmethod
    def _check_network(cls, value: Network | None, others: ValidationInfo) -> Network | None:
        init = others.data.get("init")
        if init == "pretrained" and value:
            raise ValueError("must be omitted, as the pretrained encoder tells its network")
        if init in ("random", "published") and not value:
            raise ValueError(f"must name the network, as in {{encoder: resnet18}}, since init is {init}")
        return value

    @property
    def published(self) -> PublishedWeights | None:
        """The published weights that it starts from, if it does."""
        return PublishedWeights(encoder=self.network.encoder) if self.network and self.init == "published" else None

    @property
    def as_pretraining(self) -> PretrainSettings | None:
        """A pretraining that would begin with the same weights, None where a finished one is to be named."""
        return PretrainSettings(**dict(self.network), init=self.init) if self.network else None

    def start(self, seed: int) -> str | None:
        """Return the name of the folder of what it starts from, None of a pretraining."""
        return self.network.named(self.init, seed) if self.network else None


def finetuned(name: str, block: FinetuneSettings, pretrain: str, settings: PretrainSettings) -> FinetunedSettings:
    """Return what the fine-tuning of a name is given beside a pretraining, of which it takes no more than the network.

    Raises
    ------
    UserError
        When nothing is published of that network, or of no network with its stem.
    """
    network = None
    if block.init != "pretrained":
        stem = settings.asked_stem if block.init == "random" else "auto"
        network = Network(encoder=settings.encoder, stem=stem, view_size=settings.view_size)
    if block.init == "published":
        _check_published(f"finetunes.{name}.init", pretrain, settings)
    return FinetunedSettings(**dict(block), network=network)


def _check_published(key: str, pretrain: str, settings: PretrainSettings) -> None:
    encoder = settings.encoder
    if encoder not in ENCODERS and not encoder.startswith("timm:"):
        raise UserError(
            f"{key}: nothing is published of {encoder}, the encoder of {pretrain}: write random or pretrained"
        )
    if settings.stem == "small":
        raise UserError(
            f"{key}: published weights have torchvision's own stem, but that of {pretrain} is small: write stem: auto "
            "and raise view_size for small images, or write init: random"
        )
    try:
        require_tag(encoder, "encoder: ")
    except ValueError as error:
        raise UserError(f"{key}: {pretrain} {error}") from None
