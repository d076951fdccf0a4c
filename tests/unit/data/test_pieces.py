"""Parts of large images are decoded from files that stay open in between, whatever those are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from simclr_steps.data import pieces
from simclr_steps.data.boxes import Box
from simclr_steps.data.decoding import Decoded
from simclr_steps.data.pieces import Cutting, cutting_of, decode_piece, decode_pieces, reading_of, sizes_of
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.image_format import Reading
from tests.unit.data.test_boxes import BOXES, source_of
from tests.unit.data.test_tiff_regions import noise
from tests.unit.data.test_tiles import dataset, packed, write

CUTTING = Cutting(Reading(height=16, width=16, channels=1))


@pytest.mark.usefixtures("in_processes_at_once")
@pytest.mark.parametrize("workers", [1, 2])
def test_pieces_come_in_their_order_and_one_that_cannot_be_read_is_the_reason(tmp_path: Path, workers: int) -> None:
    first, second = write(tmp_path, "a.tif", "b.tif")
    (tmp_path / "c.tif").write_bytes(b"II*\0damaged")
    asked = [(tmp_path / f"{'abcb'[n]}.tif", Box(10 * n, n, 16, 16)) for n in range(4)]
    found = list(decode_pieces(asked, CUTTING, workers))
    assert [isinstance(piece, str) for piece in found] == [False, False, True, False]
    for number, whole in ((0, first), (1, second), (3, second)):
        piece = found[number]
        assert isinstance(piece, Decoded)
        assert np.array_equal(piece.values[..., 0], asked[number][1].of(whole))


def test_sizes_are_those_of_the_files_as_they_are_now(tmp_path: Path) -> None:
    write(tmp_path, "a.tif")
    Image.fromarray(noise(30, 40, dtype=np.uint8)).save(tmp_path / "b.png")
    files = [tmp_path / "a.tif", tmp_path / "b.png", tmp_path / "absent.png"]
    *sizes, absent = sizes_of(files, CUTTING, 1)
    assert sizes == [(150, 210), (30, 40)] and isinstance(absent, str)
    assert isinstance(decode_piece(tmp_path / "a.tif", Box(0, 0, 16, 16), CUTTING), Decoded)  # and it stays open
    write(tmp_path, "a.tif", size=(20, 25))
    assert next(sizes_of(files, CUTTING, 1)) == (20, 25)


def test_a_piece_above_the_limit_of_pillow_is_refused_before_its_file_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    refused = decode_piece(tmp_path / "absent.tif", Box(0, 0, 21, 10), CUTTING)
    assert refused == "it has 10 × 21 values, too many to be read at once"


def test_the_settings_say_how_parts_are_read() -> None:
    tiled = dataset(Path("photos"), image_size=[12, 20], fit="pad", level=2, nodata="nan", channels=["A", "B"])
    reading = reading_of(tiled, ["A", "B"])
    assert (reading.height, reading.width, reading.channels, reading.fit) == (12, 20, 2, "pad")
    cutting = cutting_of(tiled, reading)
    assert cutting.level == 2 and cutting.nodata is not None and np.isnan(cutting.nodata)
    assert cutting_of(tiled.model_copy(update={"tiles": None}), reading) == Cutting(reading)


def test_each_image_is_opened_once_whatever_the_order_of_the_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.tif", "b.tif")
    lines = [f"{'ab'[number % 2]}.tif,{number},0,16,16" for number in range(40)]
    opened: list[Path] = []
    monkeypatch.setattr(pieces, "open_regions", _counted(opened))
    for _ in source_of(tmp_path, BOXES, *lines).read(np.arange(40)):
        pass
    assert [path.name for path in opened] == ["a.tif", "b.tif"] * 2  # for their sizes, and for all boxes


def _counted(opened: list[Path]) -> Any:
    open_regions = pieces.open_regions

    def counted(file: Any, cutting: Any) -> Any:
        opened.append(file)
        return open_regions(file, cutting)

    return counted


def test_levels_of_a_pyramid_are_cut_and_other_files_have_none(tmp_path: Path) -> None:
    (tmp_path / "slides").mkdir()
    whole = noise(256, 256, dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "slides" / "a.tif") as file:
        file.write(whole, subifds=1, tile=(64, 64), photometric="minisblack")
        file.write(whole[::2, ::2], subfiletype=1, tile=(64, 64), photometric="minisblack")
    images, _ = packed(tmp_path / "slides", level=1)
    assert np.array_equal(images[..., 0].reshape(2, 2, 64, 64).swapaxes(1, 2).reshape(128, 128), whole[::2, ::2])
    with pytest.raises(UserError, match=r"a\.tif is unreadable \(it has 2 levels, and `tiles\.level: 2` counts from 0"):
        packed(tmp_path / "slides", level=2)
    Image.fromarray(whole).save(tmp_path / "slides" / "a.png")
    with pytest.raises(
        UserError, match=r"a\.png is unreadable \(it has no levels, and `tiles\.level` is 1: set it to 0"
    ):
        packed(tmp_path / "slides", level=1)


def test_channels_that_are_files_of_their_own_are_cut_alike(tmp_path: Path) -> None:
    dna, rna = write(tmp_path / "slides", "dna.tif", "rna.tif", dtype=np.uint16)
    table = tmp_path / "slides" / "table.csv"
    table.write_text("path.DNA,path.RNA\ndna.tif,rna.tif\n")
    images, rows = packed(table, channels=["DNA", "RNA"], bits=16, value_range=[0, 65_535])
    assert np.array_equal(images[4], np.stack([dna, rna], axis=-1)[64:128, 64:128])
    assert set(rows["parent"]) == {"dna.tif"}
    write(tmp_path / "slides", "rna.tif", size=(150, 200), dtype=np.uint16)
    with pytest.raises(UserError, match=r"\(rna\.tif is 150 × 200, and dna\.tif 150 × 210\)"):
        packed(table, channels=["DNA", "RNA"])


def test_a_tile_too_large_to_be_read_at_once_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "slides", "a.tif")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5_000)
    with pytest.raises(UserError, match=r"a\.tif is unreadable \(it has 150 × 200 values, too many to be read at once"):
        packed(tmp_path / "slides", size=[150, 200], image_size=16)
