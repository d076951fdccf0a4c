"""An open Pillow image is read as its file is, whatever its mode and its orientation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simclr_steps.data.decoding import Decoded, decode
from simclr_steps.data.opened_images import decode_opened
from simclr_steps.settings.image_format import Reading

NOISE = np.random.default_rng(0).integers(0, 256, (20, 14, 4), dtype=np.uint8)


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "I;16"])
def test_each_mode_becomes_what_its_file_does(mode: str, channels: int, fit: str, tmp_path: Path) -> None:
    if mode == "I;16":
        image = Image.fromarray(NOISE[..., 0].astype(np.uint16) * 200)
    else:
        image = Image.fromarray(NOISE).convert("RGBA" if mode == "RGBA" else "RGB").convert(mode)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    image.save(path, exif=exif)
    reading = Reading(height=8, width=12, channels=channels, fit=fit)
    expected, found = decode(path, reading), decode_opened(Image.open(path), reading)
    assert isinstance(expected, Decoded) and isinstance(found, Decoded), (expected, found)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.values, expected.values)


def test_channels_that_are_no_colors_are_taken_as_they_are(tmp_path: Path) -> None:
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    reading = Reading(height=8, width=12, channels=4)
    expected, found = decode(tmp_path / "a.png", reading), decode_opened(Image.open(tmp_path / "a.png"), reading)
    assert isinstance(expected, Decoded) and isinstance(found, Decoded)
    np.testing.assert_array_equal(found.values, expected.values)


def test_what_cannot_be_read_has_a_reason(tmp_path: Path) -> None:
    reading = Reading(height=8, width=8, channels=1)
    assert "its values are int32: convert them to uint8, uint16 or float32" in str(
        decode_opened(Image.fromarray(np.zeros((8, 8), np.int32)), reading)
    )
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    assert "it seems to be damaged" in str(decode_opened(Image.open(tmp_path / "a.png"), reading))
