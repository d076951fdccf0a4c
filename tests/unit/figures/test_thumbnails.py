"""Small copies of images keep their shape, and all of them fit into one picture."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from simclr_steps.figures.thumbnails import sprite, sprite_columns, thumbnails
from tests.unit.conftest import digits
from tests.unit.figures.sample_points import tiles


def test_images_too_many_for_a_lossless_sprite_are_compressed_more() -> None:
    some = tiles(100, 16)
    lossless = sprite(some, 1_000_000)
    assert lossless.startswith("data:image/png;base64,")
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(lossless.partition(",")[2]))))
    np.testing.assert_array_equal(picture[32:48, 16:32], some[2 * sprite_columns(100) + 1])
    lossy = sprite(some, 30_000)
    assert lossy.startswith("data:image/webp;base64,")
    assert len(lossy) <= 30_000


@pytest.mark.parametrize(("height", "width", "expected"), [(40, 80, (16, 32)), (300, 3, (32, 1)), (8, 6, (8, 6))])
def test_copies_keep_their_shape_and_are_never_enlarged(height: int, width: int, expected: tuple[int, int]) -> None:
    images = np.full((2, height, width, 3), (200, 100, 0), dtype=np.uint8)
    small = thumbnails(images, 32)
    np.testing.assert_array_equal(small, np.broadcast_to(images[:, :1, :1], (2, *expected, 3)))


def test_images_of_16_bits_are_shown_by_the_share_of_the_largest_value() -> None:
    images = np.array([0, 128, 129, 257 * 7, 65_535], dtype=np.uint16).reshape(1, 1, 5, 1)
    assert thumbnails(images, 32)[0, 0, :, 0].tolist() == [0, 0, 1, 7, 255]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_channels_are_mixed_by_their_colors_with_one_contrast_for_all_images(dtype: type[np.unsignedinteger]) -> None:
    largest = np.iinfo(dtype).max
    shares = np.array([[0, 0, 1, 1, 0], [0, 1, 0.2, 0.2, 1], [1, 0.2, 0.6, 0, 0]])
    images = np.rint(shares * largest).astype(dtype).reshape(3, 1, 1, 5)
    small = thumbnails(images, 32, {3: (0, 1, 0), 1: (1, 0, 1), 2: (1, 1, 1)})[:, 0, 0]
    assert small.tolist() == [[255, 255, 255], [255, 102, 255], [204, 153, 204]]


def test_gray_images_become_color_images_of_equal_channels() -> None:
    images, _ = digits(5)
    np.testing.assert_array_equal(thumbnails(images, 32), np.repeat(images, 3, axis=3))
