"""What the galleries take of a block of `pretrains` and of one of `datasets`."""

from __future__ import annotations

from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.base import Settings
from simclr_steps.settings.display import Display
from simclr_steps.settings.sizes import ViewSize


class GallerySettings(Settings):
    """What the galleries take from a block of `pretrains`, and from one of `datasets` how its images are shown."""

    augmentation: Augmentation = Augmentation()
    view_size: ViewSize | None = None
    display: Display | None = None
