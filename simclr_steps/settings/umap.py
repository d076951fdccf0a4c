"""The block `umap`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simclr_steps.settings.base import Settings


class UmapSettings(Settings):
    """How features are drawn in the plane."""

    split: Literal["train", "validation", "test"] = Field("test", description="The split that is drawn.")
    n_neighbors: int = Field(15, ge=2, description="Neighbors of a point that UMAP keeps together.")
    min_dist: float = Field(0.1, ge=0, le=1, description="Least distance of points in the plane.")
    metric: Literal["cosine", "euclidean"] = Field("cosine", description="Distance between features.")
    random_state: int = Field(0, ge=0, description="Seed of the layout.")
    supervised: bool = Field(
        False, description="Show UMAP the labels. It then separates classes even in noise, and the plot says so."
    )
    max_points: int = Field(10_000, ge=10, description="More rows than this are thinned, stratified by class.")
