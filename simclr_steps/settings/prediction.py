"""The block `prediction`."""

from __future__ import annotations

from pydantic import Field

from simclr_steps.settings.base import Settings, Split


class PredictionSettings(Settings):
    """Which splits get features and predictions."""

    splits: list[Split] = Field(["test"], min_length=1, description="Splits to compute features for.")
