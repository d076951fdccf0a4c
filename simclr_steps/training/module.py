"""What any training trains: a Lightning module that says how long an epoch is, and measures its hold-out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import lightning.pytorch as L


class Trained(L.LightningModule, ABC):
    """A module with what the history of its training asks for."""

    steps_per_epoch: int
    images_per_step: int  # of all processes
    own_augmentation: str | None = None  # the user's function, which may be why a loss is not finite

    @abstractmethod
    def validate(self) -> Mapping[str, float | None]:
        """Return what the hold-out shows after an epoch or before the first, with the same keys each time.

        None is what was not measured. Every process calls it.
        """
