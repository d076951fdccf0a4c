"""The block `metadata`."""

from __future__ import annotations

from pydantic import Field

from simclr_steps.settings.base import Settings


class MetadataSettings(Settings):
    """Which columns of a data set's table are looked for in the features."""

    columns: list[str] = Field(min_length=1, description="Names of columns of the table.")
