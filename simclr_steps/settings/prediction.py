"""The block `prediction`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simclr_steps.settings.base import Settings


class PredictionSettings(Settings):
    """Which rows get features and predictions."""

    splits: list[Literal["train", "validation", "test", "unlabeled"]] = Field(
        ["test"], min_length=1, description="Splits whose features are gathered."
    )
