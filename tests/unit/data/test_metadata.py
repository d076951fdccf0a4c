"""Intact pictures with metadata that are wrong: what they show is read, turned where the orientation can be read."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from simclr_steps.data.decoding import decode
from simclr_steps.settings.image_format import Reading

CORNERS = np.array([[[250, 10, 10], [10, 250, 10]], [[10, 10, 250], [240, 240, 240]]], dtype=np.uint8)
PICTURE = Image.fromarray(CORNERS.repeat(16, axis=0).repeat(24, axis=1))
READING = Reading(height=32, width=32, channels=3)
EXIF = b"Exif\0\0"
PNG_HEAD, PNG_TAIL = 33, 12  # bytes of the first and of the last chunk


def encoded(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    PICTURE.save(stream, kind, **options)
    return stream.getvalue()


def tag(number: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack("<HHI", number, kind, count) + value


TURNED = tag(0x112, 3, 1, b"\6\0\0\0")
WIDTH_AS_TEXT = tag(0x100, 2, 4, b"abc\0")


def tags(*entries: bytes) -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + b"\0\0\0\0" + b"A" * 40


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def chunk(kind: bytes, content: bytes, *, checksum: int | None = None) -> bytes:
    right = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", right if checksum is None else checksum)


def jpeg(*segments: bytes) -> bytes:
    whole = encoded("JPEG", quality=95)
    return whole[:2] + b"".join(segments) + whole[2:]


def png(*chunks: bytes, at_end: bool = False) -> bytes:
    whole = encoded("PNG")
    place = len(whole) - PNG_TAIL if at_end else PNG_HEAD
    return whole[:place] + b"".join(chunks) + whole[place:]


LONG_TEXT = zlib.compress(bytes(1 << 21))  # more than Pillow expands
AS_IT_IS = {
    "exif_text.jpg": jpeg(segment(0xE1, EXIF + b"This is not EXIF at all")),
    "exif_cut.jpg": jpeg(segment(0xE1, EXIF + b"II*\0")),
    "exif_of_missing_bytes.jpg": jpeg(segment(0xE1, EXIF + tags(tag(0x10F, 2, 5000, struct.pack("<I", 40))))),
    "orientation_0.jpg": jpeg(segment(0xE1, EXIF + tags(tag(0x112, 3, 1, b"\0\0\0\0")))),
    "jfif_cut.jpg": jpeg(segment(0xE0, b"JFIF")),
    "adobe_cut.jpg": jpeg(segment(0xEE, b"Adobe")),
    "profile_cut.jpg": jpeg(segment(0xE2, b"ICC_PROFILE\0")),
    "exif_text.png": png(chunk(b"eXIf", b"hello world")),
    "exif_text_at_end.png": png(chunk(b"eXIf", b"hello world"), at_end=True),
    "exif_of_image_magick.png": png(chunk(b"tEXt", b"Raw profile type exif\0\nexif\n   4\nnothex")),
    "damaged_text.png": png(chunk(b"tEXt", b"Comment\0a", checksum=7)),
    "long_text.png": png(chunk(b"iTXt", b"Comment\0\1\0\0\0" + LONG_TEXT)),
    "long_text_at_end.png": png(chunk(b"zTXt", b"Comment\0\0" + LONG_TEXT), at_end=True),
    "profile_cut.png": png(chunk(b"iCCP", b"na")),
    "resolution_cut.png": png(chunk(b"pHYs", b"a")),
    "animation_cut.png": png(chunk(b"acTL", b"a")),
    "exif_text.webp": encoded("WEBP", lossless=True, exif=EXIF + b"garbage!"),
}
TURNED_ONCE = {
    "plain.jpg": jpeg(segment(0xE1, EXIF + tags(TURNED))),
    "width_as_text.jpg": jpeg(segment(0xE1, EXIF + tags(WIDTH_AS_TEXT, TURNED))),
    "float_in_short.jpg": jpeg(segment(0xE1, EXIF + tags(TURNED, tag(0x103, 11, 1, struct.pack("<f", 1.5))))),
    "rational_maker.jpg": jpeg(segment(0xE1, EXIF + tags(tag(0x10F, 5, 1, struct.pack("<I", 40)), TURNED))),
    "resolution_as_text.jpg": jpeg(segment(0xE1, EXIF + tags(tag(0x11A, 2, 4, b"abc\0"), TURNED))),
    "jfif_cut.jpg": jpeg(segment(0xE0, b"JFIF"), segment(0xE1, EXIF + tags(WIDTH_AS_TEXT, TURNED))),
    "width_as_text.png": png(chunk(b"eXIf", tags(WIDTH_AS_TEXT, TURNED))),
    "damaged_text.png": png(chunk(b"tEXt", b"a", checksum=7), chunk(b"eXIf", tags(TURNED))),
    "width_as_text.webp": encoded("WEBP", lossless=True, exif=EXIF + tags(WIDTH_AS_TEXT, TURNED)),
    "plain.tif": encoded("TIFF", tiffinfo={274: 6}),
}


def corners(file: Path) -> np.ndarray[Any, np.dtype[np.int64]]:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        small = decode(file, READING)
    assert not shown, shown[0]
    assert not isinstance(small, str), small
    return small.values[[[4], [-4]], [4, -4]].astype(np.int64)


@pytest.mark.parametrize("name", AS_IT_IS)
def test_a_picture_is_read_whatever_its_metadata_say(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(AS_IT_IS[name])
    assert np.abs(corners(tmp_path / name) - CORNERS).max() <= 2
    assert (tmp_path / name).read_bytes() == AS_IT_IS[name]


@pytest.mark.parametrize("name", TURNED_ONCE)
def test_a_picture_is_turned_once_where_its_orientation_can_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(TURNED_ONCE[name])
    assert np.abs(corners(tmp_path / name) - np.rot90(CORNERS, 3)).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_that_of_pillow(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    PICTURE.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image).resize((2, 2), Image.Resampling.NEAREST))
    assert np.array_equal(corners(tmp_path / "turned.png"), expected)


def test_transparency_outlives_damaged_text(tmp_path: Path) -> None:
    (tmp_path / "clear.png").write_bytes(png(chunk(b"tEXt", b"a", checksum=7), chunk(b"tRNS", b"\0\xfa\0\x0a\0\x0a")))
    assert corners(tmp_path / "clear.png").tolist()[0] == [[255, 255, 255], [10, 250, 10]]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_whose_pixels_are_damaged_stays_unreadable(tmp_path: Path, kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    noise.save(tmp_path / "whole", kind)
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    assert "truncated" in str(decode(tmp_path / "cut", READING))
