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
    assert [names for names, _ in batches] == [["0.png", "1.png"], ["3.png"], ["4.png"]]
    assert [images.shape for _, images in batches] == [(2, 4, 4, 3), (1, 4, 4, 3), (1, 4, 4, 3)]
    assert np.concatenate([images[:, 0, 0, 0] for _, images in batches]).tolist() == [0, 1, 3, 4]
    assert found.skipped == ["2.png"] and found.blank.shape == (0, 4, 4, 3)


def test_if_none_is_readable_the_first_reason_is_told(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(
        UserError, match=r"none of the 2 images in .* is readable, the first of them being a\.png: it is"
    ):
        list(NewImages(tmp_path, FORM, "read").batches(8, workers=1))


def test_boxes_are_refused_as_whole_images_would_be_something_else(tmp_path: Path) -> None:
    Image.new("RGB", (6, 5)).save(tmp_path / "a.png")
    table = tmp_path / "cells.csv"
    table.write_text("path,x,y,width,height\na.png,0,0,2,2\na.png,2,2,2,2\n")
    with pytest.raises(
        UserError, match=r"^--images: .*cells\.csv lists boxes by x, y, width, height, which are not cut"
    ):
        NewImages(table, FORM, "read")
    table.write_text("path,x,y\na.png,0,0\n")
    assert len(list(NewImages(table, FORM, "read").batches(8, workers=1))) == 1
