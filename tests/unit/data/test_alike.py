from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from simclr_steps.data.alike import check_alike, first_readable
from simclr_steps.data.decoding import Decoded, decode
from simclr_steps.data.readable import File
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.image_format import Reading


def reading(channels: int) -> Reading:
    return Reading(height=8, width=8, channels=channels, channel_names=[f"c{number}" for number in range(channels)])


def write(path: Path, channels: int, dtype: str) -> Path:
    tifffile.imwrite(path, np.zeros((channels, 8, 8), dtype), photometric="minisblack", metadata={"axes": "CYX"})
    return path


def decoded(*files: Path) -> Iterator[tuple[File, Decoded | str]]:
    return ((file, decode(file, reading(2))) for file in files)


def test_the_first_readable_image_is_what_others_are_compared_with(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"no image")
    files = [tmp_path / "a.tif", write(tmp_path / "b.tif", 2, "uint16"), write(tmp_path / "c.tif", 2, "uint16")]
    found = first_readable(decoded(*files), 2)
    assert found is not None and found[0] == files[1]
    assert first_readable(decoded(files[0]), 2) is None
    other = decode(files[2], reading(2))
    assert isinstance(other, Decoded)
    check_alike(files[2], other, found)
    check_alike(files[2], other, None)


@pytest.mark.parametrize(
    ("channels", "dtype", "sentence"),
    [
        (2, "float32", "a.tif has uint16 values and .*b.tif float32: convert one of them"),
        (3, "uint16", "a.tif has 2 channels and .*b.tif 3: make them equal, or make each kind"),
    ],
)
def test_images_of_another_type_or_other_channels_are_named(
    channels: int, dtype: str, sentence: str, tmp_path: Path
) -> None:
    first = first_readable(decoded(write(tmp_path / "a.tif", 2, "uint16")), 2)
    other = decode(write(tmp_path / "b.tif", channels, dtype), reading(channels))
    assert isinstance(other, Decoded)
    with pytest.raises(UserError, match=sentence):
        check_alike(tmp_path / "b.tif", other, first)


def test_channels_other_than_those_asked_for_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"channels: .*a\.tif has 3 channels, but 2 are asked for"):
        first_readable(decoded(write(tmp_path / "a.tif", 3, "uint16")), 2)
