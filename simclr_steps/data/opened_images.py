"""Pillow images that are already open, read as their files would be."""

from __future__ import annotations

import numpy as np
from PIL import Image

from simclr_steps.data.decoding import Decoded, quietly, reason_of, resized, small_picture
from simclr_steps.data.measured_files import as_picture
from simclr_steps.data.metadata import upright
from simclr_steps.data.pillow_modes import bands, picture_mode
from simclr_steps.data.readable import check_type
from simclr_steps.settings.image_format import Reading


def decode_opened(image: Image.Image, reading: Reading) -> Decoded | str:
    """Return an image as `decode` reads its file, or the reason why it cannot be read.

    Only a JPEG much larger than the wanted size differs by rounding, as its file is decoded at a fraction of its size,
    and an uncompressed TIFF that Pillow opened by its name is not turned, as Pillow forgets its orientation.
    """
    try:
        with quietly():
            return _decoded(upright(image), reading)
    except Exception as error:  # a damaged file, which Pillow reads only now, can fail in any way
        return reason_of(error, ())


def _decoded(image: Image.Image, reading: Reading) -> Decoded:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image)[..., None]
        check_type(values.dtype)
        return resized(as_picture(values, reading, has_alpha=False) if reading.is_picture else values, reading)
    if reading.is_picture:
        return small_picture(picture_mode(image, reading), reading)
    return resized(bands(image), reading)
