from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors

from simclr_steps.evaluation import similar_rows as module
from simclr_steps.evaluation.similar_rows import directions, similar


def unit_rows(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), dtype=np.float32)


RANDOM = np.random.default_rng(0)
ROWS = unit_rows(RANDOM.normal(size=(300, 12)))
SIDE = np.repeat([0, 1], 150)


@pytest.mark.parametrize("at_a_time", [2**22, 2000, 1])
def test_all_is_what_a_comparison_of_all_pairs_finds(at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COSINES_AT_A_TIME", at_a_time)
    found = similar(ROWS, 5, 0.75, SIDE)
    distances, indices = NearestNeighbors(n_neighbors=5, metric="cosine").fit(ROWS).kneighbors()
    np.testing.assert_allclose(found.distance, distances.mean(axis=1), atol=1e-5)
    np.testing.assert_array_equal(found.closest, indices[:, 0])
    np.testing.assert_allclose(found.cosine, 1 - distances[:, 0], atol=1e-5)

    alike = ROWS @ ROWS.T >= 0.75
    np.fill_diagonal(alike, False)
    apart = alike & (SIDE[:, None] != SIDE)
    assert 10 < apart.sum() < alike.sum()
    assert (found.pairs, found.pairs_across) == (alike.sum() / 2, apart.sum() / 2)
    np.testing.assert_array_equal(found.across, apart.any(axis=1))
    joined = connected_components(alike, False)[1]
    np.testing.assert_array_equal(found.group, [np.flatnonzero(joined == one)[0] for one in joined])


def test_planted_duplicates_are_found_and_nothing_else() -> None:
    copies = ROWS[[3, 3, 200]] + RANDOM.normal(size=(3, 12)).astype(np.float32) * 0.005
    found = similar(unit_rows(np.concatenate([ROWS, copies])), 5, 0.99, np.repeat([0, 1], [300, 3]))
    assert found.pairs == 4 and found.pairs_across == 3
    np.testing.assert_array_equal(found.group[[3, 200, 300, 301, 302]], [3, 200, 3, 3, 200])
    np.testing.assert_array_equal(np.flatnonzero(found.across), [3, 200, 300, 301, 302])


def test_planted_outliers_are_farthest() -> None:
    near = unit_rows(1 + RANDOM.normal(size=(300, 12)) * 0.2)
    far = unit_rows(-1 + RANDOM.normal(size=(3, 12)))
    found = similar(np.concatenate([near, far]), 5, 0.99, np.zeros(303, dtype=np.int64))
    assert set(np.argsort(-found.distance)[:3]) == {300, 301, 302}


def test_equal_rows_are_one_group_whatever_the_rounding() -> None:
    found = similar(unit_rows(np.tile(RANDOM.normal(size=77), (60, 1))), 10, 1.0, np.arange(60) % 2)
    assert (found.group == 0).all() and found.across.all()
    assert (found.pairs, found.pairs_across) == (60 * 59 / 2, 900)
    np.testing.assert_allclose(found.distance, 0, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1])
def test_less_than_two_rows_are_alike_to_none(count: int) -> None:
    found = similar(ROWS[:count], 5, 0.5, SIDE[:count])
    assert found.pairs == 0 and not found.across.any() and not found.distance.any()
    np.testing.assert_array_equal(found.group, np.arange(count))


def test_directions_are_seen_from_the_mean_and_of_equal_rows_from_zero() -> None:
    values = RANDOM.normal(size=(50, 8)) + 30
    centered = values - values.mean(axis=0)
    np.testing.assert_allclose(directions(values), unit_rows(centered), atol=1e-4)
    np.testing.assert_allclose(directions(np.tile(values[:1], (5, 1))), unit_rows(values[:1]).repeat(5, axis=0))
    assert directions(values[:0]).shape == (0, 8)


def test_rows_of_zeros_are_similar_to_none() -> None:
    found = similar(directions(np.zeros((5, 3))), 2, 0.9, np.zeros(5, dtype=np.int64))
    assert found.pairs == 0 and (found.distance == 1).all()
