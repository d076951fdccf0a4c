"""The block `umap`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simclr_steps.settings.base import PACKED_SPLITS, Seed, Settings, Split
from simclr_steps.settings.display import Display


class UmapSettings(Settings):
    """How features are plotted in two dimensions."""

    split: Literal[Split, "all"] = Field(
        "test",
        description="The split to plot, whose images the gallery of neighbors shows, too, or `all` of them together; "
        "in a grid, the hold-out in place of test, and `all` without test.",
    )
    n_neighbors: int = Field(15, ge=2, description="Number of neighbors of each point that UMAP keeps close.")
    min_dist: float = Field(0.1, ge=0, le=1, description="Minimum distance between points in the plot.")
    metric: Literal["cosine", "euclidean"] = Field("cosine", description="Distance between features.")
    random_state: Seed = Field(0, description="Seed of the layout.")
    supervised: bool = Field(
        False, description="Give UMAP the labels. It then separates classes even in noise, and the plot says so."
    )
    max_points: int = Field(
        10_000, ge=10, description="Maximum number of points; if there are more, a sample stratified by class is drawn."
    )

    @property
    def splits(self) -> list[str]:
        """The splits whose features are plotted together; those of train have the unlabeled images, too."""
        return list(PACKED_SPLITS) if self.split == "all" else [self.split]


class UmapOfDataset(UmapSettings):
    """The block `umap`, how and if images of a data set are shown, and the columns of its table to color points by."""

    display: Display | None = None
    pictures: bool = True
    columns: list[str] = Field([])
