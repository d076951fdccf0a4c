"""What a network looks like, in words that a file can hold; no torch is needed to read it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from simclr_steps.settings import PretrainSettings, ProjectionHead

LARGEST_SMALL_IMAGE = 64  # pixels; at 96 and above the ImageNet stem leaves enough of the image


class Architecture(BaseModel):
    """All that is needed to build an encoder again from its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: str
    stem: Literal["small", "imagenet"]
    channels: int
    image_size: int
    projection_head: ProjectionHead


def resolve(settings: PretrainSettings, image_size: int, channels: int) -> Architecture:
    """Return the architecture for images of `image_size` pixels and `channels` channels."""
    stem = settings.stem
    if stem == "auto":
        stem = "small" if (settings.view_size or image_size) <= LARGEST_SMALL_IMAGE else "imagenet"
    return Architecture(
        encoder=settings.encoder,
        stem=stem,
        channels=channels,
        image_size=settings.view_size or image_size,
        projection_head=settings.projection_head,
    )
