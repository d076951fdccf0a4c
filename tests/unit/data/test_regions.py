"""Boxes, and parts of images that are in memory or in a file for each channel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from simclr_steps.data.boxes import Box
from simclr_steps.data.regions import Channels, Values, WholeImage
from tests.unit.data.test_tiff_regions import noise


@pytest.mark.parametrize(
    ("box", "is_in"),
    [
        (Box(0, 0, 7, 5), True),
        (Box(4, 2, 3, 3), True),
        (Box(5, 0, 3, 5), False),
        (Box(0, 3, 7, 3), False),
        (Box(-1, 0, 3, 3), False),
        (Box(0, -1, 3, 3), False),
    ],
)
def test_a_box_is_in_an_image_that_holds_all_of_it(box: Box, is_in: bool) -> None:
    assert box.is_in((5, 7)) == is_in


def test_x_counts_to_the_right_and_y_down() -> None:
    whole, box = noise(5, 7, 2), Box(x=4, y=1, width=2, height=3)
    assert np.array_equal(box.of(whole), whole[1:4, 4:6])
    assert str(box) == "x=4,y=1,w=2,h=3"


def test_an_image_in_memory_is_read_in_parts_until_it_is_closed() -> None:
    whole = noise(5, 7, 2)
    image = WholeImage(whole)
    assert image.size == (5, 7)
    assert np.array_equal(image.read(Box(4, 1, 2, 3)), whole[1:4, 4:6])
    image.close()
    assert image.read(Box(4, 1, 2, 3)).size == 0


class Failing(WholeImage):
    def close(self) -> None:
        super().close()
        raise OSError("it cannot be closed")


def test_of_all_channels_the_same_part_is_joined_and_all_are_closed_even_if_one_fails() -> None:
    whole = noise(5, 7, 3)

    def join(parts: Sequence[Values]) -> Values:
        return np.concatenate(parts, axis=-1)

    files = [WholeImage(whole[..., :1]), Failing(whole[..., 1:2]), WholeImage(whole[..., 2:])]
    channels, box = Channels(files, join), Box(4, 1, 2, 3)
    assert channels.size == (5, 7)
    assert np.array_equal(channels.read(box), whole[1:4, 4:6])
    with pytest.raises(OSError, match="it cannot be closed"):
        channels.close()
    assert [file.read(box).size for file in files] == [0, 0, 0]
