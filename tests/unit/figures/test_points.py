"""Points are drawn in an order that hides no class."""

from __future__ import annotations

import dataclasses

import numpy as np

from simclr_steps.figures.plots import COLORS, NO_LABEL_COLOR, RAMP
from simclr_steps.figures.points import Coloring, quality_lines, shuffled
from tests.unit.figures.sample_points import colored, points


def test_no_class_lies_on_top_of_the_others_but_all_on_those_without_a_label() -> None:
    table = points(10, 0.5).table
    known = table["label"].notna().to_numpy()
    assert not known[: (~known).sum()].any()
    order = table["label"][known].to_numpy(dtype=float)
    assert np.corrcoef(np.arange(len(order)), order)[0, 1] ** 2 < 0.1
    assert list(table.index) != list(shuffled(table.sort_index(), 1).index)


def test_only_classes_that_occur_are_groups_and_points_without_a_label_come_first() -> None:
    some = points(3, 0.5)
    some = dataclasses.replace(some, table=some.table[some.table["label"].fillna(-1) != 1])
    groups = some.groups()
    assert [(group.label, group.name) for group in groups] == [(-1, "no label"), (0, "class 0"), (2, "class 2")]
    assert [group.color for group in groups] == [NO_LABEL_COLOR, COLORS[0], COLORS[2]]


def test_ranges_have_the_colors_of_a_ramp_and_points_without_a_value_come_first() -> None:
    side, height = (one.groups() for one in colored(points(3), "plate", "age").columns)
    assert [(group.label, group.name) for group in side] == [(-1, "unknown"), (0, "left <i>@row"), (1, "right")]
    assert [group.color for group in side] == [NO_LABEL_COLOR, *COLORS[:2]]
    assert [group.color for group in height] == list(RAMP)
    few = Coloring("age", ["0 to 1", "1 to 2", "2 to 3"], [0, 2, 1], ranges=True).groups()
    assert (few[0].color, few[-1].color) == (RAMP[0], RAMP[-1])


def test_quality_is_told_as_far_as_it_was_measured() -> None:
    measured = {"knn_accuracy_plane": 0.931, "knn_accuracy_features": 0.972, "trustworthiness": 0.98}
    assert quality_lines(measured) == [
        "10-NN accuracy in the plot: 93.1 %",  # as version 0.1 measured it
        "10-NN accuracy in feature space: 97.2 %",
        "Trustworthiness 0.98 (1 is best)",
    ]
    intervals = {"knn_accuracy_plane": (0.8, 0.97), "knn_accuracy_features": (0.85, 0.99)}
    assert quality_lines({**measured, "images": 1058, "intervals": intervals})[:2] == [
        "10-NN accuracy in the plot: 93.1 % [80.0, 97.0] of 1,058 images",
        "10-NN accuracy in feature space: 97.2 % [85.0, 99.0] of 1,058 images",
    ]
    without_labels = {"knn_accuracy_plane": None, "knn_accuracy_features": None, "silhouette": None}
    assert quality_lines({**without_labels, "trustworthiness": 0.5}) == ["Trustworthiness 0.50 (1 is best)"]
    assert quality_lines({}) == []
