"""Images of 8 bits as Pillow holds them, in any of its modes, as gray levels, colors or channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from simclr_steps.data.conversions import FROM_CMYK, TO_COLOR, TO_GRAY, TO_WHITE, note
from simclr_steps.data.readable import UnreadableError
from simclr_steps.settings.image_format import Reading

_BANDS = ("L", "RGB", "RGBA", "CMYK")  # modes of Pillow whose bands are channels


def picture_mode(image: Image.Image, reading: Reading) -> Image.Image:
    """Return an image of 8 bits in mode L or RGB, on white where it is transparent; what that changes is noted."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        raise UnreadableError(f"its pixels have the mode {image.mode} of Pillow: save it as TIFF")
    has_colors = _has_colors(image)
    if reading.channels == 1 and has_colors:
        note(TO_GRAY)
    elif reading.channels == 3 and not has_colors:
        note(TO_COLOR)
    elif image.mode == "CMYK":
        note(FROM_CMYK)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            note(TO_WHITE)
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if reading.channels == 1 else "RGB")


def _has_colors(image: Image.Image) -> bool:
    """Return whether an image is stored in colors, which may all be gray."""
    if image.mode in ("P", "PA"):
        table = np.reshape(image.getpalette() or [0, 0, 0], (-1, 3))
        return bool((table != table[:, :1]).any())
    return Image.getmodebase(image.mode) != "L"


def bands(whole: Image.Image) -> npt.NDArray[Any]:
    """Return the channels of an image of 8 bits as they are, [H, W, C], or raise UnreadableError where it has none."""
    if whole.mode not in _BANDS:
        raise UnreadableError(f"its pixels have the mode {whole.mode} of Pillow, which has no channels to tell apart")
    return np.asarray(whole, dtype=np.uint8).reshape(whole.height, whole.width, -1)
