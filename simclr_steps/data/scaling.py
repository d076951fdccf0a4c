"""From the values of images to packed ones: the one place where an image format's range is applied."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from simclr_steps.data.decoding import Decoded
from simclr_steps.data.packed import Pixels
from simclr_steps.settings.image_format import LIMITS_OF_8_BITS, ImageFormat, counted_channels

_LARGEST = np.finfo(np.float32).max / 10  # so that differences and what is computed from them are finite

Values = npt.NDArray[Any]  # [..., C] of uint8 or float32


def scale(values: Values, form: ImageFormat) -> Pixels:
    """Return the packed values of originals, [..., C]; margins, which are NaN, become 0.

    It computes in float32, in this order, and rounds half to even, so that any other program can repeat it exactly.
    """
    if values.dtype == np.uint8 and is_plain(form):
        return values.astype(np.uint8, copy=False)
    low, high = np.array(form.value_range, dtype=np.float32).T
    scaled = np.clip((values.astype(np.float32) - low) / (high - low), 0, 1) * np.float32(form.largest)
    packed: Pixels = np.rint(np.nan_to_num(scaled, copy=False)).astype(form.packed_dtype)
    return packed


def too_large(values: Values) -> str | None:
    """Return how many values of an image no range can be computed for, as a reason to refuse it; None if none are."""
    count = int((np.abs(values) > _LARGEST).sum()) if values.dtype == np.float32 else 0
    if not count:
        return None
    return (
        f"{count:,} of its {values.size:,} values are beyond {_LARGEST:.1e}, a tenth of what float32 holds: divide them"
    )


def is_plain(form: ImageFormat) -> bool:
    """Return whether values of 8 bits are packed as they are."""
    return form.dtype == "uint8" and form.bits == 8 and all(limits == LIMITS_OF_8_BITS for limits in form.value_range)


def as_packed(image: Decoded | str, form: ImageFormat) -> Pixels | str:
    """Return an image as its data set would have packed it, or the reason why it cannot be read."""
    if isinstance(image, str):
        return image
    if image.dtype != form.dtype:
        return f"its values are {image.dtype}, but the encoder was trained on {form.dtype}"
    if (channels := image.values.shape[2]) != form.channels:
        return f"it has {counted_channels(channels)}, but the encoder was trained on images with {form.channels}"
    return too_large(image.values) or scale(image.values, form)
