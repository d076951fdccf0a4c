"""Pillow's modes become gray levels or colors, and what that changes is noted."""

from __future__ import annotations

import pytest
from PIL import Image

from simclr_steps.data.conversions import FROM_CMYK, TO_COLOR, TO_GRAY, TO_WHITE, noting
from simclr_steps.data.pillow_modes import bands, picture_mode
from simclr_steps.data.readable import UnreadableError
from simclr_steps.settings.image_format import Reading

GRAY, COLOR = (Reading(height=2, width=2, channels=channels) for channels in (1, 3))
RED = Image.new("RGB", (2, 2), "red")
FADED = Image.new("RGBA", (2, 2), (255, 0, 0, 0))


@pytest.mark.parametrize(
    ("image", "reading", "pixel", "noted"),
    [
        (RED, COLOR, (255, 0, 0), set()),
        (RED, GRAY, 76, {TO_GRAY}),
        (RED.convert("P"), COLOR, (255, 0, 0), set()),
        (RED.convert("P"), GRAY, 76, {TO_GRAY}),
        (RED.convert("L"), GRAY, 76, set()),
        (RED.convert("L"), COLOR, (76, 76, 76), {TO_COLOR}),
        (RED.convert("L").convert("P"), GRAY, 76, set()),  # a table of grays
        (Image.new("1", (2, 2), 1), GRAY, 255, set()),
        (RED.convert("CMYK"), COLOR, (255, 0, 0), {FROM_CMYK}),
        (RED.convert("CMYK"), GRAY, 76, {TO_GRAY}),
        (RED.convert("RGBA"), COLOR, (255, 0, 0), set()),  # nothing shines through
        (FADED, COLOR, (255, 255, 255), {TO_WHITE}),
        (FADED, GRAY, 255, {TO_WHITE, TO_GRAY}),
    ],
)
def test_pictures_become_gray_or_colored(
    image: Image.Image, reading: Reading, pixel: int | tuple[int, ...], noted: set[str]
) -> None:
    with noting() as found:
        picture = picture_mode(image, reading)
    assert (picture.getpixel((0, 0)), found) == (pixel, noted)


def test_bands_are_taken_as_they_are_and_indices_into_a_table_are_refused() -> None:
    assert bands(FADED).tolist() == [[[255, 0, 0, 0]] * 2] * 2
    with pytest.raises(UnreadableError, match="the mode P of Pillow, which has no channels to tell apart"):
        bands(RED.convert("P"))
