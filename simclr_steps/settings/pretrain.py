"""The block `pretrains`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.auto import WholeOrAuto
from simclr_steps.settings.base import Address, LocalPath, did_you_mean
from simclr_steps.settings.network import _ENCODER_ELSEWHERE, ENCODERS, ProjectionHead
from simclr_steps.settings.optimization import Optimization
from simclr_steps.settings.sizes import ViewSize
from simclr_steps.settings.weights import PublishedWeights, Sha256, require_tag


class _Pretraining(Optimization):
    """What a block and the settings of the step have in common."""

    encoder: str = Field(
        "resnet18",
        json_schema_extra={"anyOf": [{"enum": list(ENCODERS)}, {"pattern": ":"}]},
        description=f"A torchvision network ({', '.join(f'`{name}`' for name in ENCODERS)}); `timm:NAME`, any timm "
        "network, such as `timm:vit_small_patch16_224`, built for the images' size; or your own `MODULE:FUNCTION`, "
        "imported from the working folder. It is called as `FUNCTION(channels=3, "
        "image_size=(32, 48))`, where `image_size` is height and width, and must return a torch module that maps float "
        "[N, channels, height, width] in [0, 1] to float [N, features].",
    )
    init: LocalPath = Field(
        "random",
        description="What the encoder's weights are at first: `random`; `published`, which downloads those that "
        "torchvision publishes of the network or those that the tag in `timm:NAME.TAG` names; or the path of a file of "
        "weights, an encoder that this workflow trained or a state dict of torchvision, timm or Lightning, as "
        "safetensors or as `torch.save` writes it. The projection head is always random at first. See "
        "[docs/weights.md](../docs/weights.md).",
    )
    weights_path: LocalPath | None = Field(
        None,
        description="File of the published weights, or a folder that contains it, to be used instead of a download.",
    )
    weights_mirrors: list[Address] = Field(
        [],
        description="Base URLs (https, http, file) to try in order after the official one; the path in the official "
        "address follows.",
    )
    weights_sha256: Sha256 | None = Field(
        None,
        description="SHA-256 of the file of published weights. null takes the digits in the names of torchvision's "
        "files, and of others whatever the first download brought.",
    )
    stem: Literal["auto", "small", "imagenet"] = Field(
        "auto",
        description="First layers of a torchvision network: `small` is a 3 × 3 convolution with stride 1 and no "
        "max-pool, `imagenet` is torchvision's own; `auto` uses `small` for images whose shorter side has up to 64 "
        "pixels, unless the encoder starts from given weights.",
    )
    projection_head: ProjectionHead = Field(ProjectionHead(), description="See the projection head's keys.")
    augmentation: Augmentation = Field(Augmentation(), description="See the augmentation's keys.")
    views: int = Field(2, ge=2, description="Random views per image in a batch; all pairs of them are positives.")
    view_size: ViewSize | None = Field(
        None,
        description="Side of the views in pixels, or [height, width]; the trained encoder reads images resized to the "
        "same size. null keeps the images' own height and width.",
    )
    temperature: float = Field(0.5, gt=0, description="Temperature of the NT-Xent loss.")
    loss_chunk_size: int | None = Field(
        None,
        gt=0,
        description="Number of views whose similarities to all others are kept in memory at once; null keeps those of "
        "the whole batch. A smaller number uses less memory and gives the same loss.",
    )
    learning_rate: float = Field(0.03, gt=0, description="Peak learning rate, before the scaling below.")
    learning_rate_scaling: Literal["linear", "sqrt", "none"] = Field(
        "linear", description="Multiplies the learning rate by global_batch_size / 256, by its square root, or by 1."
    )
    epochs: WholeOrAuto = Field(
        "auto",
        validate_default=True,
        description="Passes over the training and unlabeled images; with `continue`, further ones. `auto` is 100, or "
        "more if 1,000 weight updates take more, but at most 500.",
    )
    backbone_learning_rate_factor: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Factor that multiplies the learning rate of the backbone, but not that of the projection head. "
        "Below 1 it protects given weights, which the rate that a new head needs soon destroys.",
    )
    freeze_epochs: int = Field(
        0,
        ge=0,
        description="First epochs in which only the projection head is trained; weights and batch-norm statistics of "
        "the backbone are frozen.",
    )
    global_batch_size: WholeOrAuto = Field(
        "auto",
        description="Images per batch across all processes, at least 2; the last incomplete batch of an epoch is "
        "dropped. `auto` is 512, or the largest of 256, 128, 64 and 32 that gives an epoch 10 batches, or 32.",
    )
    monitor_epochs: int = Field(
        10,
        ge=0,
        description="Number of epochs between evaluations of the hold-out's features, which also take place after the "
        "last epoch: kNN accuracy if there are labels, alignment and uniformity, and effective rank (RankMe). 0 "
        "disables it. Training is not affected. The hold-out's loss is measured after every epoch or, in trainings on "
        "few images, every few epochs.",
    )
    micro_batch_size: int | None = Field(
        None,
        ge=2,
        description="Views that pass through the network at once in each process; null means the whole batch. A "
        "smaller number fits large batches on small GPUs and takes about a third longer: loss and gradients remain "
        "those of the whole batch, but batch norm normalizes each micro-batch separately.",
    )

    @field_validator("encoder")
    @classmethod
    def _check_encoder(cls, value: str) -> str:
        if not (value in ENCODERS or _ENCODER_ELSEWHERE.fullmatch(value)):
            advice = did_you_mean(value, ENCODERS)
            raise ValueError(f"must be a ResNet of torchvision, timm:NAME or MODULE:FUNCTION; {advice}")
        return value

    @field_validator("global_batch_size")
    @classmethod
    def _check_batch(cls, value: int | str) -> int | str:
        if value == 1:
            raise ValueError("must be at least 2, as an image alone has no others to be compared with")
        return value

    @field_validator("freeze_epochs")
    @classmethod
    def _check_freeze(cls, value: int, others: ValidationInfo) -> int:
        epochs = others.data.get("epochs", "auto")
        if epochs != "auto" and value >= epochs:
            raise ValueError(f"must be less than {epochs}, the number of epochs, or the backbone is never trained")
        return value

    @field_validator("init")
    @classmethod
    def _check_init(cls, value: str, others: ValidationInfo) -> str:
        encoder = others.data.get("encoder", "")
        if value == "published":
            require_tag(encoder, "encoder: ")
            if encoder not in ENCODERS and not encoder.startswith("timm:"):
                raise ValueError("must be random or a path, as nothing is published of your own encoder")
        return value

    @field_validator("weights_path", "weights_mirrors", "weights_sha256")
    @classmethod
    def _check_weights(cls, value: object, others: ValidationInfo) -> object:
        if value and others.data.get("init", "published") != "published":
            raise ValueError("must be omitted, or init must be published; init itself may be the path of a file")
        return value

    @field_validator("stem")
    @classmethod
    def _check_stem(cls, value: str, others: ValidationInfo) -> str:
        if value == "small" and others.data.get("init") == "published":
            raise ValueError(
                "must be auto or imagenet, as published weights have torchvision's own stem: raise view_size for small "
                "images, or write init: random"
            )
        if value != "auto" and ":" in others.data.get("encoder", ""):
            raise ValueError("must be auto, as only torchvision's networks have a stem to choose")
        return value

    @property
    def starts_from_weights(self) -> bool:
        """Return whether the encoder starts from given weights, not from random ones."""
        return self.init != "random"

    @property
    def asked_stem(self) -> Literal["auto", "small", "imagenet"]:
        """The stem that is asked for: with given weights, auto is that of torchvision, for which they were made."""
        follows_weights = self.starts_from_weights and self.stem == "auto" and ":" not in self.encoder
        return "imagenet" if follows_weights else self.stem


class PretrainBlock(_Pretraining):
    """Settings for pretraining an encoder with SimCLR."""

    continues: str | None = Field(
        None,
        alias="continue",
        description="Name of another block, or of the folder of a grid's combination (`simclr-temperature=0.1`), from "
        "whose end this training goes on, with its projection head and the state of its optimizer. It takes from it "
        "every key that is not written here, except `freeze_epochs`; `encoder`, `init`, `stem`, `view_size`, "
        "`projection_head` and `optimizer` cannot differ. `epochs` counts the further epochs, which have their own "
        "warm-up and schedule. See [docs/weights.md](../docs/weights.md#going-on-longer).",
    )


class PretrainSettings(_Pretraining):
    """What pretrain is given: the keys of a block, and those of the pretraining that it continues."""

    parent: PretrainSettings | None = None

    @property
    def own_weights(self) -> Path | None:
        """The user's file of weights that the encoder starts from, if it does."""
        is_path = self.init not in ("random", "published")
        return Path(self.init) if is_path and not self.parent else None

    @property
    def found_weights(self) -> Path | None:
        """Where the user has the file of published weights, if anywhere."""
        return Path(self.weights_path) if self.weights_path and not self.parent else None

    @property
    def published_weights(self) -> PublishedWeights | None:
        """The published weights that the encoder starts from, and where to get them, if it does."""
        if self.init != "published" or self.parent:
            return None
        return PublishedWeights(
            encoder=self.encoder, path=self.weights_path, mirrors=self.weights_mirrors, sha256=self.weights_sha256
        )

    @property
    def trained(self) -> PretrainSettings:
        """What decides the training: not where the file of published weights comes from."""
        parent = self.parent.trained if self.parent else None
        nowhere: dict[str, object] = {"weights_path": None, "weights_mirrors": [], "weights_sha256": None}
        return self.model_copy(update={**nowhere, "parent": parent})


class FittedPretrain(PretrainSettings):
    """Settings whose batches and epochs are numbers, fitted to the data where the block leaves them to it."""

    epochs: int = Field(gt=0)
    global_batch_size: int = Field(ge=2)
    parent: FittedPretrain | None = None

    @property
    def epochs_before(self) -> int:
        """The number of epochs of all pretrainings that it continues."""
        return self.parent.epochs_before + self.parent.epochs if self.parent else 0
