"""The block `page`."""

from __future__ import annotations

from pydantic import Field

from simclr_steps.settings.base import Settings


class PageSettings(Settings):
    """What pages show."""

    pictures: bool = Field(
        True,
        description="Whether pages hold images of the data. If false, `summary.html`, the pages of runs, "
        "`summary/mistakes`, `explore.html`, `map.html` and `points.parquet` hold none, so that they may be passed on; "
        "the pictures in `galleries/` do, and so does Snakemake's report of up to five pretrainings, which contains "
        "them. Paths and names of classes are shown all the same.",
    )
