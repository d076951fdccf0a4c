from __future__ import annotations

import pytest

from simclr_steps.settings.image_format import ImageFormat


def of(channels: int, **facts: object) -> ImageFormat:
    statistics = {"value_range": [(0, 255)] * channels, "mean": [0.5] * channels, "std": [0.25] * channels}
    return ImageFormat.model_validate({"height": 6, "width": 5, "channels": channels, **statistics, **facts})


@pytest.mark.parametrize(("bits", "largest"), [(8, 255), (16, 65_535)])
def test_the_largest_value_is_that_of_the_bits(bits: int, largest: int) -> None:
    assert of(1, bits=bits).largest == largest


def test_three_channels_are_colors_unless_they_have_names() -> None:
    assert of(3).is_color
    assert not of(3, channel_names=["DNA", "RNA", "ER"]).is_color
    assert not of(1).is_color
    assert not of(4).is_color


def test_a_format_is_the_same_after_json() -> None:
    written = of(2, channel_names=["DNA", "RNA"], dtype="float32", bits=16, value_range=[(-0.5, 1.5), (0, 4095)])
    assert ImageFormat.model_validate_json(written.model_dump_json()) == written
    assert written.size == (6, 5)


def test_photographs_have_gray_levels_or_colors_of_8_bits() -> None:
    assert of(1).is_photo and of(3).is_photo
    assert not of(1, dtype="uint16").is_photo and not of(2).is_photo and not of(1, channel_names=["DNA"]).is_photo
