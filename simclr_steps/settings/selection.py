"""The block `selection`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simclr_steps.settings.base import Settings


class SelectionSettings(Settings):
    """How a checkpoint is selected among those that pretraining keeps, never using the test split."""

    criterion: Literal["validate_loss", "knn", "rankme", "last"] = Field(
        "validate_loss",
        description="`validate_loss`: lowest loss on the hold-out. `knn`: best kNN accuracy on the hold-out, with "
        "neighbors from the training split. `rankme`: highest effective rank of the hold-out's features, which needs "
        "no labels, among the checkpoints of monitored epochs (`monitor_epochs`). `last`: the last checkpoint.",
    )
    knn_neighbors: int = Field(10, gt=0, description="Number of neighbors that vote with `knn`, by cosine similarity.")
