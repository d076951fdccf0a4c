"""The block `selection`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simclr_steps.settings.base import Settings

Criterion = Literal["auto", "validate_loss", "knn", "rankme", "last"]


class SelectionSettings(Settings):
    """How a checkpoint is selected among those that pretraining keeps, never using the test split."""

    criterion: Criterion = Field(
        "auto",
        description="`validate_loss`: lowest loss on the hold-out. `knn`: best kNN accuracy on the hold-out, with "
        "neighbors from the training split. `rankme`: highest effective rank of the hold-out's features, which needs "
        "no labels, among the checkpoints of monitored epochs (`monitor_epochs`). `last`: the last checkpoint. `auto`: "
        "`knn` for a pretraining that starts from given weights (`init`) if the training split and the hold-out have "
        "labels, otherwise `validate_loss`.",
    )
    knn_neighbors: int = Field(10, gt=0, description="Number of neighbors that vote with `knn`, by cosine similarity.")
