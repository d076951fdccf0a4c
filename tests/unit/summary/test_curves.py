"""Curves can be read: their axes are not crowded, and what has no room is counted."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simclr_steps.figures import plots
from simclr_steps.summary import curves


@pytest.mark.parametrize(
    ("counts", "kept"),
    [([10, 20, 50, 100, 130, 1437], [10, 20, 50, 100, 1437]), ([7], [7]), ([100, 130], [100, 130]), ([], [])],
)
def test_numbers_of_labels_that_would_overlap_are_left_out_of_the_axis(counts: list[int], kept: list[int]) -> None:
    assert curves.spread(counts) == kept


def test_more_pretrainings_than_panels_are_counted_in_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "MOST_PANELS", 2)
    frame = pd.DataFrame({"epoch": [1], "loss": [5.0], "learning_rate": [0.1]})
    figure = curves.history({f"digits, {number}": {0: frame} for number in range(5)})
    assert len(figure.axes) == 4  # loss and learning rate of two
    assert "The first 2 of 5" in figure.get_suptitle()


def test_an_accuracy_that_was_measured_every_few_epochs_is_one_line_with_dots() -> None:
    each = pd.DataFrame(
        {"draw": 0, "epoch": [1, 2, 3], "accuracy": [0.3, 0.4, 0.5], "validate_accuracy": [0.1, 0.2, 0.3]}
    )
    few = each.assign(validate_accuracy=[0.2, math.nan, 0.3])
    figure = curves.finetune_history({"each": [each], "few": [few]})
    lines = [line for axes in figure.axes for line in axes.lines]
    assert [line.get_marker() for line in lines] == ["", "", "", "o"]
    assert np.array_equal(lines[-1].get_xydata(), [[1, 20], [3, 30]])


def test_a_measure_of_one_epoch_is_a_point_that_can_be_seen() -> None:
    frame = pd.DataFrame({"epoch": [1, 2, 3], "loss": [5.0, 4.0, 3.0], "learning_rate": [0.1, 0.1, 0.0]})
    once = curves.history({"digits": {0: frame.assign(validate_loss=[math.nan, math.nan, 3.0])}})
    assert [line.get_marker() for line in once.axes[0].lines] == ["", "o"]
    single = curves.history({"digits": {0: frame[:1]}})
    assert [line.get_marker() for axes in single.axes for line in axes.lines] == ["o", "o"]


@pytest.mark.parametrize("series", [1, 2, 7])
def test_points_of_one_number_of_labels_stand_side_by_side_and_close_together(series: int) -> None:
    factors = np.array(curves.side_by_side(series, 10, 1000))
    places = np.log(factors) / np.log(100)
    assert (np.diff(places) > 0.01).all() and np.ptp(places) < 0.08
    assert places.mean() == pytest.approx(0, abs=1e-9), "around the number"


def test_no_two_series_look_alike_and_those_of_one_kind_have_one_color() -> None:
    tuned = dict.fromkeys(["slow", "fast", "wide"], "finetune-pretrained")
    kinds = {**tuned, "own": "simclr", "scratch": "finetune-random"}
    styles = {name: curves._style(kinds, name) for name in kinds}
    looks = [(style["color"], style["marker"], style["linestyle"]) for style in styles.values()]
    assert len(set(looks)) == len(kinds)
    assert len({styles[name]["color"] for name in ("slow", "fast", "wide")}) == 1
    assert len({styles[name]["linestyle"] for name in ("slow", "fast", "wide")}) == 3
