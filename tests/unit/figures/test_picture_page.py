from __future__ import annotations

import base64
import io
import re

import numpy as np
from PIL import Image

from simclr_steps.figures.picture_page import Section, Strip, picture_page

IMAGES = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.full((1, 8, 4, 3), 50, dtype=np.uint8)


def test_each_picture_is_at_its_place_in_the_sheet_with_its_name() -> None:
    page = picture_page("Title", ["How."], [Section("One", ["What."], [Strip("A", [4, 0], ["four", "none"])])], IMAGES)
    (sheet,) = re.findall(r"url\(data:image/png;base64,([\w+/=]+)", page)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet))))
    places = re.findall(r'aria-label="(\w+)" style="--x:(\d+);--y:(\d+)"', page)
    assert [(name, int(x), int(y)) for name, x, y in places] == [("four", 1, 1), ("none", 0, 0)]
    assert (shown[8:16, 4:8] == 200).all() and (shown[:8, :4] == 0).all()
    assert "width: 32px; height: 64px" in page and "/ 96px auto" in page
    for text in ("<h1>Title</h1>", "<p>How.</p>", "<h2>One</h2>", "<p>What.</p>", "<h3>A</h3>"):
        assert text in page


def test_names_are_text_and_no_picture_is_needed() -> None:
    page = picture_page("<b>", ["<i>"], [Section("<u>", [], [Strip("", [], [])])], IMAGES[:0])
    assert not re.search("<[biu]>", page)
    assert "&lt;b&gt;" in page
