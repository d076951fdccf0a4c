"""Image files come in batches, in order, and without those that are unreadable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simclr_steps.data.new_images import NewImages
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.image_format import ImageFormat

FORM = ImageFormat.of_8_bits((4, 4), 3)


def test_batches_hold_readable_images_in_order_and_the_others_are_listed(tmp_path: Path) -> None:
    for number in range(5):
        Image.new("RGB", (6, 5), (number, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "2.png").write_bytes(b"damaged")
    found = NewImages(tmp_path, FORM, "read")
    batches = list(found.batches(2, workers=1))
    assert [batch.columns["path"] for batch in batches] == [["0.png", "1.png"], ["3.png"], ["4.png"]]
    assert [batch.images.shape for batch in batches] == [(2, 4, 4, 3), (1, 4, 4, 3), (1, 4, 4, 3)]
    assert np.concatenate([batch.images[:, 0, 0, 0] for batch in batches]).tolist() == [0, 1, 3, 4]
    assert found.skipped == ["2.png"] and found.blank.shape == (0, 4, 4, 3)


def test_files_are_read_no_earlier_than_their_batch_is_taken(tmp_path: Path) -> None:
    for number in range(6):
        Image.new("RGB", (6, 5), (number, 0, 0)).save(tmp_path / f"{number}.png")
    found = NewImages(tmp_path, FORM, "read")
    batches = found.batches(2, workers=1)
    assert next(batches).columns["path"] == ["0.png", "1.png"]
    Image.new("RGB", (6, 5), (90, 0, 0)).save(tmp_path / "2.png")  # what is read later is seen
    assert next(batches).images[:, 0, 0, 0].tolist() == [90, 3]


def test_what_reading_changes_about_them_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, mode in (("a.png", "RGB"), ("b.png", "L"), ("c.png", "RGBA"), ("d.jpg", "CMYK"), ("e.png", "L")):
        Image.new(mode, (6, 5)).save(tmp_path / name)
    found = NewImages(tmp_path, FORM, "read")
    list(found.batches(2, workers=1))
    with caplog.at_level("INFO"):
        found.report("row for", tmp_path / "out.csv")
    assert caplog.messages[1:] == [
        f"CMYK was made RGB without its color profile in 1 of 5 images, such as {tmp_path / 'd.jpg'}",
        f"gray values were repeated as red, green and blue in 2 of 5 images, such as {tmp_path / 'b.png'}",
        f"transparent parts were made white in 1 of 5 images, such as {tmp_path / 'c.png'}",
    ]


def test_if_none_is_readable_the_first_reason_is_told(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(
        UserError, match=r"none of the 2 images in .* is readable, the first of them being a\.png: it is"
    ):
        list(NewImages(tmp_path, FORM, "read").batches(8, workers=1))


def test_boxes_are_cut_out_of_their_files_and_one_outside_is_named(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(whole).save(tmp_path / name)
    (tmp_path / "cut.png").write_bytes(b"damaged")
    table = tmp_path / "cells.csv"
    lines = ["a.png,0,0,4,4,x", "b.png,1,2,4,4,y", "cut.png,0,0,4,4,z", "a.png,3,5,4,4,x"]
    table.write_text("\n".join(["path,x,y,width,height,well", *lines]))
    found = NewImages(table, FORM, "read")
    (batch,) = found.batches(8, workers=1)
    assert batch.columns == {
        "path": ["a.png#x=0,y=0,w=4,h=4", "a.png#x=3,y=5,w=4,h=4", "b.png#x=1,y=2,w=4,h=4"],
        "parent": ["a.png", "a.png", "b.png"],
        "x": ["0", "3", "1"],
        "y": ["0", "5", "2"],
        "width": ["4", "4", "4"],
        "height": ["4", "4", "4"],
    }
    np.testing.assert_array_equal(batch.images, [whole[:4, :4], whole[5:9, 3:7], whole[2:6, 1:5]])
    assert found.skipped == ["cut.png#x=0,y=0,w=4,h=4"]
    table.write_text("path,x,y,width,height\na.png,0,0,4,4\na.png,4,0,4,4\n")
    with pytest.raises(UserError, match=r"csv line 3 has the box x=4,y=0,w=4,h=4, which is not all inside a\.png"):
        list(NewImages(table, FORM, "read").batches(8, workers=1))
    table.write_text("path,x,y\na.png,0,0\n")
    (whole_image,) = NewImages(table, FORM, "read").batches(8, workers=1)
    assert whole_image.columns == {"path": ["a.png"]}
