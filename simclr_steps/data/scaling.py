"""From the values of images to packed ones: the one place where an image format's range is applied."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from simclr_steps.data.decoding import Decoded
from simclr_steps.settings.image_format import ImageFormat

Values = npt.NDArray[Any]  # [..., C] of uint8 or float32
Packed = npt.NDArray[Any]  # [..., C] of uint8 or uint16

LIMITS_OF_8_BITS = (0.0, 255.0)


def scale(values: Values, form: ImageFormat) -> Packed:
    """Return the packed values of originals, [..., C]; margins, which are NaN, become 0.

    It computes in float32, in this order, so that any other program can repeat it exactly.
    """
    if values.dtype == np.uint8 and is_plain(form):
        return values.astype(np.uint8, copy=False)
    low, high = np.array(form.value_range, dtype=np.float32).T
    scaled = np.clip((values.astype(np.float32) - low) / (high - low), 0, 1) * np.float32(form.largest)
    return np.asarray(np.rint(np.nan_to_num(scaled, copy=False)).astype(np.uint8 if form.bits == 8 else np.uint16))


def is_plain(form: ImageFormat) -> bool:
    """Return whether values of 8 bits are packed as they are."""
    return form.dtype == "uint8" and form.bits == 8 and all(limits == LIMITS_OF_8_BITS for limits in form.value_range)


def as_packed(image: Decoded | str, form: ImageFormat) -> Packed | str:
    """Return an image as its data set would have packed it, or the reason why it cannot be read."""
    if isinstance(image, str):
        return image
    if image.dtype != form.dtype:
        return f"its values are {image.dtype}, and those that the encoder was trained on {form.dtype}"
    if image.values.shape[2] != form.channels:
        return (
            f"it has {image.values.shape[2]} channels, and the images that the encoder was trained on {form.channels}"
        )
    return scale(image.values, form)
