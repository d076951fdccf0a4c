"""The UMAP plot names every class where it can be read, and hides none behind another."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from simclr_steps.figures.map_page import SIGNS, map_page
from simclr_steps.figures.plots import MARKERS
from simclr_steps.figures.points import Coloring, Points
from simclr_steps.figures.scatter import draw, draw_columns
from tests.unit.figures.sample_points import colored, points, tiles


def drawn(figure: Figure) -> Figure:
    for _ in range(2):  # as for a file: the layout is known after the first time
        FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    return figure


@pytest.mark.parametrize(
    ("classes", "unlabeled", "entries"), [(10, 0, 10), (10, 0.5, 11), (26, 0, 26), (100, 0, 100), (0, 0, 0)]
)
@pytest.mark.parametrize("names", ["class {}", "a class with a very long name, number {}"])
def test_the_legend_names_every_class_and_lies_within_the_figure_clear_of_the_points(
    classes: int, unlabeled: float, entries: int, names: str
) -> None:
    figure = drawn(draw(points(classes, unlabeled, names)))
    assert len(figure.legends) == (1 if entries else 0)
    below = figure.axes[0].xaxis.label.get_window_extent()
    for legend in figure.legends:
        assert len(legend.get_texts()) == entries
        box, axes, whole = legend.get_window_extent(), figure.axes[0].get_window_extent(), figure.bbox
        extents = [text.get_window_extent() for text in legend.get_texts()]
        assert box.x0 > axes.x1 or max(extent.y1 for extent in extents) < below.y0
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
        assert not any(one.overlaps(other) for one, other in itertools.combinations(extents, 2))


def apart(classes: int, distance: float, **keys: Any) -> Points:
    """Return points whose classes lie around a circle of this radius."""
    some = points(classes, **keys)
    angles = 2 * np.pi * some.table["label"].fillna(0).astype(float) / classes
    table = some.table.assign(
        x=some.table["x"] * 0.3 + distance * np.cos(angles), y=some.table["y"] * 0.3 + distance * np.sin(angles)
    )
    return replace(some, table=table)


def test_classes_that_lie_apart_are_named_where_they_are() -> None:
    name = "the whole of a long name $x$ {}"
    some = apart(8, 5, names=name, unlabeled=0.2)
    figure = drawn(draw(some))
    axes = figure.axes[0]
    assert not figure.legends and "Gray points have no label" in axes.get_xlabel()
    texts = cast(list[Any], axes.texts)
    assert [text.get_text() for text in texts] == [name.format(number).replace("$", r"\$") for number in range(8)]
    extents = [text.get_window_extent() for text in texts]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(extents, 2))
    whole = axes.get_window_extent()
    medians = some.table.groupby("label")[["x", "y"]].median()
    for text, extent, (_, place) in zip(texts, extents, medians.iterrows(), strict=True):
        assert whole.x0 - 1 <= extent.x0 < extent.x1 <= whole.x1 + 1
        np.testing.assert_allclose(text.xy, place)


@pytest.mark.parametrize(("classes", "distance"), [(8, 0.1), (26, 5)])
def test_names_that_have_no_room_in_the_plot_stand_in_the_legend(classes: int, distance: float) -> None:
    figure = draw(apart(classes, distance))
    assert len(figure.legends) == 1 and not figure.axes[0].texts


def test_quality_stands_within_the_figure() -> None:
    figure = drawn(draw(points(100)))
    label = figure.axes[0].xaxis.label
    assert all(line in label.get_text() for line in points(100).quality)
    box = label.get_window_extent()
    assert figure.bbox.y0 <= box.y0 and box.x1 <= figure.bbox.x1


def test_a_hundred_classes_are_a_hundred_pairs_of_color_and_shape_and_neighbors_differ_in_color() -> None:
    groups = points(100).groups()
    assert len({(group.color, group.shape) for group in groups}) == 100
    assert all(one.color != other.color for one, other in itertools.pairwise(groups))
    assert {group.shape for group in points(10).groups()} == {0}
    assert len(set(MARKERS)) == len(set(SIGNS)) == 10
    figure = draw(points(100))
    scatter: Any = figure.axes[0].collections[0]
    marks = [
        (to_hex(color), path.vertices.tobytes())
        for color, path in zip(scatter.get_facecolors(), scatter.get_paths(), strict=True)
    ]
    labels = points(100).labels()
    assert len(set(marks)) == 100
    assert len(set(zip(marks, labels, strict=True))) == 100, "each class is one pair"


@pytest.mark.parametrize("classes", [101, 130])
def test_more_classes_than_pairs_or_than_a_legend_holds_are_said(classes: int) -> None:
    text = draw(points(classes)).axes[0].get_xlabel()
    assert "colors and shapes repeat" in text
    assert ("too many for a legend" in text) == (classes == 130)
    page = map_page(["Map"], [points(classes)], [points(classes).by_class()], (4, 4), images=tiles())
    assert "colors and shapes repeat" in page


def test_each_column_has_a_panel_with_its_legend_beside_it() -> None:
    some = colored(points(3), "plate $1", "age")
    many = Coloring("well", [str(number) for number in range(400)], list(range(400)))
    figure = drawn(draw_columns(replace(some, columns=(*some.columns, many))))
    assert [axes.get_title() for axes in figure.axes] == ["plate \\$1", "age", "well"]
    assert figure.get_suptitle() == "Title", "which names the split"
    plate, age, well = (cast(Any, axes.get_legend()) for axes in figure.axes)
    assert [text.get_text() for text in plate.get_texts()] == ["unknown", "left <i>@row", "right"]
    assert len(age.get_texts()) == 10 and well is None
    assert "400 values" in figure.axes[2].get_xlabel()
    for axes, legend in zip(figure.axes[:2], (plate, age), strict=True):
        box = legend.get_window_extent()
        assert axes.get_window_extent().x1 <= box.x0 < box.x1 <= figure.bbox.x1
    assert plate.get_window_extent().x1 < figure.axes[1].get_window_extent().x0
