"""The interval of a paired difference is that of an independent bootstrap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import bootstrap

from simclr_steps.summary.paired import difference


def accuracies(images: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the share of five classifiers of a kind that are right about each image, for two kinds."""
    generator = np.random.default_rng(3)
    hard = generator.random(images)
    better, worse = (generator.random((5, images)) > strength * hard for strength in (0.5, 0.8))
    return better.mean(axis=0), worse.mean(axis=0)


def test_the_interval_of_images_is_that_of_scipy() -> None:
    better, worse = accuracies(400)
    mean, interval = difference(better - worse)
    found = bootstrap(
        (better, worse),
        lambda x, y, axis: (x - y).mean(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=9_999,
        rng=0,
    )
    assert mean == pytest.approx(better.mean() - worse.mean())
    assert interval == pytest.approx(tuple(found.confidence_interval), abs=0.002)


def test_the_interval_of_groups_is_that_of_whole_groups_and_wider() -> None:
    sizes = np.tile([2, 5, 13], 10)
    groups = np.repeat(np.arange(30), sizes)
    of_group = np.random.default_rng(4).normal(0.1, 0.3, 30)
    values = np.round(of_group, 1)[groups]
    sums = np.bincount(groups, weights=values)
    found = bootstrap(
        (sums, sizes),
        lambda x, n, axis: x.sum(axis=axis) / n.sum(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=9_999,
        rng=0,
    )
    mean, interval = difference(values, groups)
    assert mean == pytest.approx(values.mean())
    assert interval == pytest.approx(tuple(found.confidence_interval), abs=0.01)
    _, inner = difference(values)
    assert interval and inner and interval[1] - interval[0] > 1.5 * (inner[1] - inner[0])


@pytest.mark.parametrize("groups", [None, np.repeat(np.arange(5), 20)])
def test_fewer_than_6_images_or_groups_have_no_interval(groups: npt.NDArray[np.int64] | None) -> None:
    values = np.ones(5 if groups is None else len(groups))
    values[0] = 0
    assert difference(values, groups) == (values.mean(), None)


@pytest.mark.parametrize("apart", [0.0, 0.2, 1.0, -1.0])
def test_what_differs_alike_everywhere_has_an_interval_with_a_width(apart: float) -> None:
    mean, interval = difference(np.full(7, apart))
    assert mean == pytest.approx(apart) and interval is not None
    share = 7 / (7 + 1.96**2)  # Wilson's lower bound of 7 among 7
    expected = share * apart - (1 - share), share * apart + (1 - share)
    assert interval == pytest.approx(expected, abs=1e-4)
    _, of_many = difference(np.full(10_000, apart))
    assert of_many == pytest.approx((apart, apart), abs=0.001)
