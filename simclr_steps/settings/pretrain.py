"""The block `pretrains`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.base import did_you_mean
from simclr_steps.settings.network import _ENCODER_ELSEWHERE, ENCODERS, ProjectionHead
from simclr_steps.settings.optimization import Optimization
from simclr_steps.settings.sizes import ViewSize


class PretrainSettings(Optimization):
    """Settings for pretraining an encoder with SimCLR."""

    encoder: str = Field(
        "resnet18",
        json_schema_extra={"anyOf": [{"enum": list(ENCODERS)}, {"pattern": ":"}]},
        description=f"A torchvision network ({', '.join(f'`{name}`' for name in ENCODERS)}); `timm:NAME`, any timm "
        "network, such as `timm:vit_small_patch16_224`, built for the images' size; or your own `MODULE:FUNCTION`, "
        "imported from the working folder or an installed package. It is called as `FUNCTION(channels=3, "
        "image_size=(32, 48))`, where `image_size` is height and width, and must return a torch module that maps float "
        "[N, channels, height, width] in [0, 1] to float [N, features].",
    )
    stem: Literal["auto", "small", "imagenet"] = Field(
        "auto",
        description="First layers of a torchvision network: `small` is a 3 × 3 convolution with stride 1 and no "
        "max-pool, `imagenet` is torchvision's own; `auto` uses `small` for images whose shorter side has up to 64 "
        "pixels.",
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
    epochs: int = Field(100, gt=0, validate_default=True, description="Passes over the training and unlabeled images.")
    global_batch_size: int = Field(
        512,
        ge=2,
        description="Images per batch across all processes; the last incomplete batch of an epoch is dropped.",
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

    @field_validator("stem")
    @classmethod
    def _check_stem(cls, value: str, others: ValidationInfo) -> str:
        if value != "auto" and ":" in others.data.get("encoder", ""):
            raise ValueError("must be auto, as only torchvision's networks have a stem to choose")
        return value
