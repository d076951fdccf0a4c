"""The block `prediction`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simclr_steps.settings.base import Settings


class PredictionSettings(Settings):
    """Which splits get features and predictions."""

    splits: list[Literal["train", "validation", "test", "unlabeled"]] = Field(
        ["test"], min_length=1, description="Splits to compute features for."
    )
