"""The block `selection`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simclr_steps.settings.base import Settings


class SelectionSettings(Settings):
    """How one checkpoint is chosen from the three of least validation loss and the last; never on the test split."""

    criterion: Literal["validate_loss", "knn", "rankme", "last"] = Field(
        "validate_loss",
        description="`validate_loss`: least loss on the hold-out. `knn`: best kNN accuracy on the hold-out, its "
        "neighbors from the training split. `rankme`: highest effective rank of the hold-out's features, which takes "
        "no labels, among the checkpoints of monitored epochs (`monitor_epochs`). `last`: the last checkpoint.",
    )
    knn_neighbors: int = Field(10, gt=0, description="Neighbors that vote under `knn`, by cosine similarity.")
