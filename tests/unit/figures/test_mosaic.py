"""Images in rows lie side by side, whole and in their own shape, and names stay below them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from simclr_steps.figures.mosaic import canvas, draw_tile, head, name_below, place
from tests.unit.conftest import digits


@pytest.mark.parametrize("names", [True, False])
def test_tiles_of_all_rows_and_columns_lie_within_the_figure_and_apart(names: bool) -> None:
    figure, axes = canvas(3, 4, names=names)
    images = np.repeat(digits(12)[0], 3, axis=3)
    for number, image in enumerate(images):
        draw_tile(axes, image, number // 4, number % 4, "a name" * names, {"edgecolor": "red"}, names=names)
    head(axes, "image", "views")
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    boxes = [tile.get_window_extent() for tile in axes.images]
    assert len(boxes) == len(axes.patches) == 12
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)
    for tile, image in zip(axes.images, images, strict=True):
        np.testing.assert_array_equal(tile.get_array(), image)
    if names:
        below = [text.get_window_extent() for text in axes.texts if text.get_text() == "a name"]
        assert not any(text.overlaps(box) for text in below for box in boxes)


@pytest.mark.parametrize(("height", "width"), [(10, 20), (20, 10), (7, 7)])
def test_an_image_is_placed_in_the_middle_of_its_square_in_its_own_shape(height: int, width: int) -> None:
    _, axes = canvas(1, 1, names=False)
    left, top, across, down = place(axes, np.zeros((height, width, 3), np.uint8), 2.0, 5.0)
    assert across / down == pytest.approx(width / height) and max(across, down) == 1
    assert (left + across / 2, top + down / 2) == pytest.approx((2.5, 5.5))


def test_each_line_of_a_long_name_is_cut() -> None:
    _, axes = canvas(1, 1, names=True)
    name_below(axes, "a breed of dogs\n→ cat", 0, 0)
    first, second = axes.texts[0].get_text().split("\n")
    assert len(first) <= 9 and first == "a br…dogs" and second == "→ cat"
