"""What the galleries take of a block of `pretrains`."""

from __future__ import annotations

from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.base import Settings
from simclr_steps.settings.sizes import ViewSize


class GallerySettings(Settings):
    """What the gallery of augmented views takes from a block of `pretrains`."""

    augmentation: Augmentation = Augmentation()
    view_size: ViewSize | None = None
