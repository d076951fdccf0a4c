"""Values are packed by the range of the image format, in float32, half to even."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from simclr_steps.data.decoding import Decoded
from simclr_steps.data.scaling import as_packed, scale
from simclr_steps.settings.image_format import ImageFormat

RANDOM = np.random.default_rng(0)


def of(**facts: Any) -> ImageFormat:
    known = {"height": 6, "width": 5, "channels": 2, "mean": [0.5] * 2, "std": [0.25] * 2}
    return ImageFormat.model_validate({**known, "value_range": [(0, 255)] * 2, **facts})


def test_values_of_8_bits_stay_what_they_are() -> None:
    values = RANDOM.integers(0, 256, (6, 5, 2), dtype=np.uint8)
    assert np.array_equal(scale(values, of()), values)
    assert np.array_equal(scale(values, of(bits=16)), values.astype(int) * 257)


@pytest.mark.parametrize(("bits", "largest"), [(8, 255), (16, 65_535)])
def test_values_are_scaled_to_the_range_clipped_and_rounded(bits: int, largest: int) -> None:
    limits = [(294, 4095), (-0.5, 1.25)]
    values = np.stack([RANDOM.uniform(0, 5000, (6, 5)), RANDOM.uniform(-1, 2, (6, 5))], axis=-1).astype(np.float32)
    packed: npt.NDArray[Any] = scale(values, of(dtype="float32", bits=bits, value_range=limits))
    assert packed.dtype == np.dtype(f"uint{bits}")
    for value, found, (low, high) in zip(values.reshape(-1, 2).T, packed.reshape(-1, 2).T, limits, strict=True):
        for one, number in zip(value.tolist(), found.tolist(), strict=True):
            share = min(
                max((Fraction(one) - Fraction(low)) / (Fraction(high) - Fraction(low)), Fraction(0)), Fraction(1)
            )
            assert abs(share * largest - number) <= Fraction(51, 100)


@pytest.mark.parametrize("bits", [8, 16])
def test_halves_are_rounded_to_even(bits: int) -> None:
    form = of(dtype="float32", bits=bits, value_range=[(0, 255 if bits == 8 else 65_535)] * 2)
    halves = np.array([[0.5, 1.5], [2.5, 254.5]], dtype=np.float32)
    assert np.array_equal(scale(halves, form), [[0, 2], [2, 254]])


def test_margins_are_0() -> None:
    values = np.full((6, 5, 2), np.nan, dtype=np.float32)
    assert (scale(values, of(dtype="float32", value_range=[(-3, 5), (7, 9)])) == 0).all()


def test_images_of_another_depth_or_other_channels_than_the_format_are_refused() -> None:
    values = RANDOM.integers(0, 256, (6, 5, 2), dtype=np.uint8)
    assert as_packed("it is damaged", of()) == "it is damaged"
    assert np.array_equal(as_packed(Decoded(values, "uint8", 1.0), of()), values)
    large = Decoded(np.full((6, 5, 2), 1e38, dtype=np.float32), "float32", 1.0)
    assert "60 of its 60 values are beyond" in str(as_packed(large, of(dtype="float32")))
    refused = as_packed(Decoded(values.astype(np.float32), "uint16", 1.0), of())
    assert refused == "its values are uint16, but the encoder was trained on uint8"
    refused = as_packed(Decoded(values[..., :1], "uint8", 1.0), of())
    assert refused == "it has 1 channel, but the encoder was trained on images with 2"
