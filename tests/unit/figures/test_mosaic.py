"""Images in rows lie side by side, whole and in their own shape, and names stay below them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from simclr_steps.figures.mosaic import Names, canvas, draw_tile, head, name_below, place
from tests.unit.conftest import digits


@pytest.mark.parametrize("name", ["", "a name", "Adenocarcinoma, well differentiated"])
def test_tiles_of_all_rows_and_columns_lie_within_the_figure_and_apart(name: str) -> None:
    figure, axes = canvas(3, 9, names := Names.of([name] if name else []))
    images = np.repeat(digits(12)[0], 3, axis=3)
    for number, image in enumerate(images):
        draw_tile(axes, image, number // 4, number % 4, name, {"edgecolor": "red"}, names)
    head(axes, "image", "views")
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    boxes = [tile.get_window_extent() for tile in axes.images]
    assert len(boxes) == len(axes.patches) == 12
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)
    for tile, image in zip(axes.images, images, strict=True):
        np.testing.assert_array_equal(tile.get_array(), image)
    below = [text for text in axes.texts if text.get_text() not in ("image", "views")]
    assert {"".join(text.get_text().split()) for text in below} == ({"".join(name.split())} if name else set())
    assert not any(text.get_window_extent().overlaps(box) for text in below for box in boxes)


@pytest.mark.parametrize(("height", "width"), [(10, 20), (20, 10), (7, 7)])
def test_an_image_is_placed_in_the_middle_of_its_square_in_its_own_shape(height: int, width: int) -> None:
    _, axes = canvas(1, 1)
    left, top, across, down = place(axes, np.zeros((height, width, 3), np.uint8), 2.0, 5.0)
    assert across / down == pytest.approx(width / height) and max(across, down) == 1
    assert (left + across / 2, top + down / 2) == pytest.approx((2.5, 5.5))


def test_each_line_of_a_long_name_is_whole_and_letters_are_smaller_where_a_word_is_long() -> None:
    few = Names.of(["cat", "a breed of dogs\n→ cat"])
    assert (few.width, few.lines, few.size) == (9, 3, 6.5)
    _, axes = canvas(1, 1, few)
    name_below(axes, "a breed of dogs\n→ cat", 0, 0, few)
    assert axes.texts[0].get_text() == "a breed\nof dogs\n→ cat"
    long = Names.of(["Adenocarcinoma, stage 1"])
    assert long.wrapped("Adenocarcinoma, stage 1") == "Adenocarcinoma,\nstage 1" and long.size < few.size
    assert Names.of(["x" * 40]).wrapped("x" * 40).replace("\n", "") == "x" * 40
    assert Names.of([]).room == 0
