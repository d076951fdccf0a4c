"""Curves can be read: their axes are not crowded, and what has no room is counted."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from matplotlib.lines import Line2D

from simclr_steps.figures import plots
from simclr_steps.figures.plots import COLORS, GRAYS
from simclr_steps.summary import curves
from simclr_steps.summary.headline import SERIES
from simclr_steps.summary.losses import beside_chance


def heights(line: Line2D) -> npt.NDArray[np.float64]:
    return np.asarray(line.get_ydata(), dtype=float)


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
    figure = curves.finetune_history({"each": [each], "few": [few]}, {})
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


def test_no_two_series_look_alike_and_only_those_of_simclr_have_a_color() -> None:
    tuned = dict.fromkeys(["slow", "fast", "wide"], "finetune-pretrained")
    kinds = {**tuned, **{kind: kind for kind in SERIES if kind != "finetune-pretrained"}}
    styles = {name: curves._style(kinds, name) for name in kinds}
    looks = [(style["color"], style["marker"], style["linestyle"]) for style in styles.values()]
    assert len(set(looks)) == len(kinds)
    of_simclr = {"slow", "fast", "wide", "simclr", "finetune-pretrained-frozen"}
    assert {styles[name]["color"] for name in of_simclr} == {COLORS[0]}
    assert {name for name, style in styles.items() if style["color"] not in GRAYS} == of_simclr
    assert len({styles[name]["linestyle"] for name in ("slow", "fast", "wide")}) == 3


def test_losses_are_shown_beside_chance_and_panels_share_their_range() -> None:
    frame = pd.DataFrame({"epoch": [0, 1, 2], "step": [0, 8, 16], "learning_rate": [0.1, 0.1, 0.0]})
    frame = frame.assign(loss=[math.nan, 3.0, 2.0], validate_loss=[5.0, 4.0, 3.0], views=2, trained_on=800)
    small, large = (beside_chance(frame.assign(batch=batch), hold_out=50) for batch in (100, 400))
    figure = curves.history({"digits, small": {0: small}, "digits, large": {0: large}})
    upper = figure.axes[::2]
    assert len({axes.get_ylim() for axes in upper}) == 1
    for axes, batch in zip(upper, (100, 400), strict=True):
        loss, hold_out, chance = axes.lines
        np.testing.assert_allclose(heights(loss), [3 - math.log(2 * batch - 1), 2 - math.log(2 * batch - 1)])
        np.testing.assert_allclose(heights(hold_out), [value - math.log(99) for value in (5, 4, 3)])
        assert heights(chance)[0] == 0
        assert "less that of chance" in axes.get_ylabel()
    raw = curves.history({"digits, old": {0: frame}}).axes[0]
    assert raw.get_ylabel() == "NT-Xent loss" and len(raw.lines) == 2, "its record does not tell batches"


def test_knn_is_in_percent_beside_chance_and_no_two_pretrainings_look_alike() -> None:
    frame = pd.DataFrame({"epoch": [0, 1], "validate_knn_accuracy": [0.5, 0.75], "validate_rankme": [3.0, 9.0]})
    histories = {f"digits, {number}": {0: frame} for number in range(25)}
    knn, rank = curves.monitors(histories, dict.fromkeys(histories, 0.1)).axes
    *lines, chance = knn.lines
    assert heights(lines[0]).tolist() == [50, 75] and heights(chance)[0] == 10
    assert heights(rank.lines[0]).tolist() == [3, 9] and len(rank.lines) == 25
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 25


def test_finetunings_share_their_range_and_are_shown_beside_chance() -> None:
    frame = pd.DataFrame({"draw": 0, "epoch": [1, 2], "accuracy": [0.3, 0.4], "validate_accuracy": [0.2, 0.3]})
    high = frame.assign(accuracy=[0.8, 0.9])
    figure = curves.finetune_history({"low": [frame], "high": [high]}, {"low": 0.1})
    low, other = figure.axes
    assert low.get_ylim() == other.get_ylim()
    assert heights(low.lines[-1])[0] == 10 and len(other.lines) == 2
