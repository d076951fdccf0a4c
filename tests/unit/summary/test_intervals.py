"""Intervals of accuracies are Wilson's, and the spread is told apart into seeds and draws."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, bootstrap

from simclr_steps.summary.intervals import ByGroup, Spread, interval, of_seeds_and_draws, spread_of


@pytest.mark.parametrize(("right", "images"), [(0, 6), (3, 6), (6, 6), (345, 360), (9_100, 10_000)])
def test_the_interval_is_scipys(right: int, images: int) -> None:
    reference = binomtest(right, images).proportion_ci(0.95, method="wilson")
    assert interval(right / images, images) == pytest.approx((reference.low, reference.high), abs=1e-9)


def test_the_interval_over_groups_is_scipys_and_wider_where_the_images_of_a_group_fare_alike() -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(5, 40, size=30).astype(float)
    alike, apart = np.round(images * (generator.random(30) < 0.8)), generator.binomial(images.astype(int), 0.8)
    widths = []
    for right in (alike, apart):
        accuracy = right.sum() / images.sum()
        low, high = interval(accuracy, int(images.sum()), ByGroup(images, right.astype(float)))
        reference = bootstrap(
            (right, images),
            lambda a, b, axis: a.sum(axis) / b.sum(axis),
            paired=True,
            method="percentile",
            rng=generator,
        ).confidence_interval
        assert (low, high) == pytest.approx((reference.low, reference.high), abs=0.01)
        wilson = interval(accuracy, int(images.sum()))
        widths.append((high - low) / (wilson[1] - wilson[0]))
    assert widths[0] > 3 and widths[1] < 1.3


@pytest.mark.parametrize("share", [1.0, 0.75])
def test_groups_that_fare_alike_leave_wilsons_interval_of_as_many_images(share: float) -> None:
    groups = ByGroup(np.full(7, 20.0), np.full(7, 20.0 * share))
    assert interval(share, 140, groups) == interval(share, 7)


def test_of_few_groups_the_interval_is_that_of_as_many_images_however_they_fare() -> None:
    images, right = np.array([20.0, 20, 20, 20]), np.array([20.0, 19, 18, 19])
    assert interval(76 / 80, 80, ByGroup(images, right)) == interval(76 / 80, 4)


def test_several_classifiers_are_one_mean_in_each_group() -> None:
    images = np.array([10.0, 30.0])
    both = [ByGroup(images, np.array(right)) for right in ([10.0, 15.0], [0.0, 15.0])]
    rows = pd.DataFrame({"value": [25 / 40, 15 / 40], "images": [40, 40], "by_group": both})
    assert spread_of(rows).counted().endswith("[9.5, 90.5] (2)"), "Wilson's of two, as each group is half right"


def test_one_value_shows_its_interval_and_several_their_deviation_and_number() -> None:
    rows = pd.DataFrame({"value": [0.9], "images": [50]})
    assert str(spread_of(rows)) == spread_of(rows).counted() == "90.0 [78.6, 95.7]"
    several = pd.DataFrame({"value": [0.8, 1.0], "images": [50, 50]})
    assert spread_of(several).counted() == "90.0 ± 14.1 [78.6, 95.7] (2)"
    assert str(spread_of(pd.DataFrame({"value": [0.5], "images": [None]}))) == "50.0"
    assert str(Spread(0.5, math.nan, 1)) == "50.0"


def test_seeds_and_draws_are_told_apart() -> None:
    generator = np.random.default_rng(0)
    seeds, draws = generator.normal(0, 0.05, 200), generator.normal(0, 0.01, 300)
    rows = pd.DataFrame(
        [(seed, draw, seeds[seed] + draws[draw]) for seed in range(200) for draw in range(300)],
        columns=["seed", "draw", "value"],
    )
    assert of_seeds_and_draws(rows) == pytest.approx((seeds.std(ddof=1), draws.std(ddof=1)))
    assert all(map(math.isnan, of_seeds_and_draws(rows[:1])))
