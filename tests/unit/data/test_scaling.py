"""Values are packed by the range of the image format, in float32, half to even."""

from __future__ import annotations

import numpy as np
import pytest

from simclr_steps.data.scaling import as_packed, scale
from simclr_steps.settings.image_format import ImageFormat
from tests.unit.conftest import digits
from tests.unit.settings.test_image_format import of


def test_values_of_8_bits_stay_as_they_are() -> None:
    images, _ = digits(5)
    assert np.array_equal(scale(images, ImageFormat.of_8_bits((8, 8), 1)), images)
    every = np.arange(256, dtype=np.float32)[:, None]
    assert np.array_equal(scale(every, ImageFormat.of_8_bits((8, 8), 1)), every)


def test_each_channel_has_its_range_and_what_lies_outside_is_clipped() -> None:
    form = of(2, dtype="uint16", bits=16, value_range=[(100, 4195), (-1.5, 1.5)])
    values = np.array([[100, -1.5], [99, -9], [4195, 1.5], [5000, 2], [2147.5, 0]], dtype=np.float32)
    packed = scale(values, form)
    assert packed.dtype == np.uint16
    assert packed.tolist() == [[0, 0], [0, 0], [65_535, 65_535], [65_535, 65_535], [32_768, 32_768]]


@pytest.mark.parametrize("bits", [8, 16])
def test_halves_are_rounded_to_even(bits: int) -> None:
    form = of(1, dtype="float32", bits=bits, value_range=[(0, 255 if bits == 8 else 65_535)])
    assert scale(np.array([[0.5], [1.5], [2.5], [254.5]], dtype=np.float32), form).ravel().tolist() == [0, 2, 2, 254]


def test_an_image_of_another_depth_or_number_of_channels_is_refused() -> None:
    form = of(2, dtype="uint16", bits=16)
    for image, reason in (
        (np.zeros((4, 4, 2), dtype=np.uint8), "its values are uint8, and those that the encoder was trained on uint16"),
        (np.zeros((4, 4, 3), dtype=np.uint16), "it has 3 channels, and the images that the encoder was trained on 2"),
        ("it is damaged", "it is damaged"),
    ):
        assert as_packed(image, form) == reason
