"""What C libraries print about a file becomes the reason why it is not read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from simclr_steps.data.complaints import complaints_raised
from tests.unit.data.test_measured_files import RANDOM, reading, reason, values


def test_what_a_block_prints_is_raised_in_one_line_with_its_own_error_as_the_cause(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(OSError, match=r"^first second$"), complaints_raised():
        os.write(2, b"first\n  second\n")
    with pytest.raises(OSError, match=r"^printed$") as error, complaints_raised():
        os.write(2, b"printed")
        raise ValueError("the decoder's own")
    assert str(error.value.__cause__) == "the decoder's own"
    assert capfd.readouterr() == ("", "")


def test_a_block_that_prints_nothing_ends_as_it_would_and_later_lines_are_shown(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with complaints_raised():
        pass
    with pytest.raises(ValueError, match="the decoder's own"), complaints_raised():
        raise ValueError("the decoder's own")
    os.write(2, b"after it")
    assert capfd.readouterr().err == "after it"


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd"])
def test_what_libtiff_prints_about_a_file_that_was_cut_is_the_reason_and_no_line_of_its_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], compression: str
) -> None:
    picture = RANDOM.integers(0, 256, (64, 48, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb", compression=compression)
    assert values(tmp_path / "a.tif", reading(3)).shape == (32, 24, 3)
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: len(content) // 2])
    refused = reason(tmp_path / "a.tif", reading(3))
    assert refused.startswith("it seems to be damaged: TIFFFillStrip: Read error on strip 0; got ")
    assert capfd.readouterr() == ("", "")


def test_a_file_of_which_libtiff_reads_no_more_than_a_part_is_unreadable(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    picture = RANDOM.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.tif", compression="jpeg")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[500:-500:97] = bytes(0x5A ^ byte for byte in content[500:-500:97])
    (tmp_path / "a.tif").write_bytes(content)
    assert "JPEGLib" in reason(tmp_path / "a.tif", reading(3))
    assert capfd.readouterr() == ("", "")
