"""Dim images are shown brighter, all by one stretch, and others as they are."""

from __future__ import annotations

import numpy as np
import pytest

from simclr_steps.figures import contrast as module
from simclr_steps.figures.contrast import contrast_for, contrast_of_split, how_shown

MIX = {0: (0, 0, 255), 1: (0, 255, 0)}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_dim_images_are_stretched_by_one_range_for_each_channel(dtype: type[np.unsignedinteger]) -> None:
    largest = np.iinfo(dtype).max
    shares = np.linspace(0.01, 0.21, 1000).reshape(10, 10, 10, 1) * np.array([1.0, 2.0])
    images = np.rint(shares * largest).astype(dtype)
    contrast = contrast_for(images, MIX)
    assert contrast is not None
    np.testing.assert_allclose(contrast.low, [0.011, 0.022], atol=0.005)
    np.testing.assert_allclose(contrast.high, [0.261, 0.418], atol=0.005)
    shown = contrast.stretched(images)
    assert shown.dtype == dtype and shown.min() == 0 and shown[..., 1].max() == largest
    np.testing.assert_allclose(shown[..., 0].max() / largest, 0.8, atol=0.02)
    assert shown[0].max() < shown[5].min(), "a dim image stays dimmer than others"
    np.testing.assert_allclose(shown[5, 0, 0] / largest, [0.4, 0.5], atol=0.02)


def test_bright_channels_and_empty_images_stay_as_they_are_and_keep_no_dim_channel_from_being_seen() -> None:
    images = np.zeros((4, 8, 8, 2), dtype=np.uint16)
    assert contrast_for(images, MIX) is None
    images[..., 0] = np.arange(64).reshape(8, 8) * 100
    contrast = contrast_for(images, MIX)
    assert contrast is not None and not contrast.stretched(images)[..., 1].any()
    images[:2, ..., 1] = 65_535
    beside_bright = contrast_for(images, MIX)
    assert beside_bright is not None
    shown = beside_bright.stretched(images)
    np.testing.assert_array_equal(shown[..., 1], images[..., 1])
    np.testing.assert_array_equal(shown[..., 0], contrast.stretched(images)[..., 0])
    assert shown[..., 0].max() > 3.9 * images[..., 0].max()
    images[:2, ..., 0] = 40_000
    assert contrast_for(images, MIX) is None


def test_colors_keep_their_hue_and_channels_that_are_not_shown_do_not_count() -> None:
    images = np.full((4, 8, 8, 3), 30_000, dtype=np.uint16)
    images[:, ::2, :, 2] = 0
    assert contrast_for(images, None) is not None
    images[..., 0] = 60_000
    assert contrast_for(images, None) is None, "red is bright"
    assert contrast_for(images, {0: (255, 0, 0)}) is None
    assert contrast_for(images, {2: (255, 0, 0)}) is not None


def test_all_images_of_a_split_are_stretched_by_what_some_of_them_show() -> None:
    images = np.arange(300 * 16, dtype=np.uint8).reshape(300, 4, 4, 1) % 90
    found, expected = contrast_of_split(images, None), contrast_for(images, None)
    assert found is not None and expected is not None
    np.testing.assert_allclose([found.low, found.high], [expected.low, expected.high], atol=0.01)
    assert contrast_of_split(images[:0], None) is None
    assert contrast_of_split(images, None, is_photo=True) is None


def test_sentences_say_how_images_are_shown() -> None:
    contrast = contrast_for(np.full((1, 2, 2, 1), [[[10], [90]]], dtype=np.uint8), None)
    assert how_shown("DNA in blue", contrast) == ["Images show DNA in blue.", "All images are brightened alike."]
    assert how_shown("", None) == []


def test_no_more_values_of_a_split_are_read_than_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []
    monkeypatch.setattr(module, "contrast_for", lambda images, mix: looked_at.append(images.shape))
    images = np.broadcast_to(np.zeros((), dtype=np.uint16), (1_000_000, 1000, 1000, 5))
    monkeypatch.setattr(module, "_MOST_VALUES", 1 << 20)
    contrast_of_split(images, None)
    (shape,) = looked_at
    assert shape[0] == 256 and shape[3] == 5 and 0.8 * (1 << 20) < np.prod(shape) < 1.1 * (1 << 20)
