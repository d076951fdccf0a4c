"""The random views of a block's augmentation, for the images of one data set."""

from __future__ import annotations

from simclr_steps.machine.logs import log
from simclr_steps.settings.augmentation import Augmentation


def tell_left_out(settings: Augmentation | None, channels: int, *, is_color: bool) -> None:
    """Log which keys of an augmentation images without red, green and blue leave out."""
    if settings and settings.of_color and not is_color:
        keys = ", ".join(settings.of_color)
        log.info("augmentation leaves out %s: 3 color channels have that, and these images have %d", keys, channels)
