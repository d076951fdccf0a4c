"""Intervals of accuracies are Wilson's, and the spread is told apart into seeds and draws."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from simclr_steps.summary.intervals import Spread, interval, of_seeds_and_draws, spread_of


@pytest.mark.parametrize(("right", "images"), [(0, 6), (3, 6), (6, 6), (345, 360), (9_100, 10_000)])
def test_the_interval_is_scipys(right: int, images: int) -> None:
    reference = binomtest(right, images).proportion_ci(0.95, method="wilson")
    assert interval(right / images, images) == pytest.approx((reference.low, reference.high), abs=1e-9)


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
