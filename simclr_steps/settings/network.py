"""Encoders by their names, and the projection head."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from simclr_steps.settings.base import MODULE_AND_FUNCTION, Settings

PUBLISHED = {  # torchvision's networks, and those of its weights that `init: published` takes
    "resnet18": "IMAGENET1K_V1",
    "resnet34": "IMAGENET1K_V1",
    "resnet50": "IMAGENET1K_V2",
    "resnet101": "IMAGENET1K_V2",
    "resnet152": "IMAGENET1K_V2",
    "resnext50_32x4d": "IMAGENET1K_V2",
    "resnext101_32x8d": "IMAGENET1K_V2",
    "resnext101_64x4d": "IMAGENET1K_V1",
    "wide_resnet50_2": "IMAGENET1K_V2",
    "wide_resnet101_2": "IMAGENET1K_V2",
}
ENCODERS = tuple(PUBLISHED)
_ENCODER_ELSEWHERE = re.compile(rf"timm:[\w.]+|{MODULE_AND_FUNCTION.pattern}")


class ProjectionHead(Settings):
    """The network between the features and the loss: linear layers with ReLU between them."""

    layers: Literal[2, 3] = Field(2, description="Linear layers; the last one has no bias.")
    hidden_size: int = Field(1024, gt=0, description="Width of the hidden layers.")
    output_size: int = Field(128, gt=0, description="Size of the projections that the loss compares.")
    batch_norm: bool = Field(
        False, description="Batch norm before each ReLU; unlike in SimCLR's own code, the output is not normalized."
    )
