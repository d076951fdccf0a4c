from __future__ import annotations

import numpy as np

from simclr_steps.data.columns import MOST_NUMBERS, column_of


def test_values_are_sorted_and_a_missing_one_has_no_code() -> None:
    column = column_of("plate", ["b", "", "a", "b"])
    assert (column.values, column.codes.tolist(), column.ranges) == (["a", "b"], [1, -1, 0, 1], False)


def test_few_numbers_are_values_in_the_order_of_their_size() -> None:
    assert column_of("hours", ["10", "9", "", "1e1", "-2.5"]).values == ["-2.5", "9", "10", "1e1"]


def test_many_numbers_are_ranges_of_about_as_many_rows() -> None:
    numbers = np.random.default_rng(0).exponential(size=5 * MOST_NUMBERS).round(3)
    column = column_of("intensity", [*map(str, numbers), ""])
    assert column.ranges and len(column.values) == 10 and column.codes[-1] == -1
    counts = np.bincount(column.codes[:-1])
    assert counts.min() > 0.8 * counts.max()
    for code, value in enumerate(column.values):
        low, high = map(float, value.split(" to "))
        inside = numbers[column.codes[:-1] == code]
        assert low - 1e-3 <= inside.min() and inside.max() <= high + 1e-3


def test_a_number_that_most_rows_share_leaves_fewer_ranges() -> None:
    cells = ["0"] * 900 + [str(number) for number in range(1, 101)]
    column = column_of("count", cells)
    assert column.ranges and 1 <= len(column.values) < 10
    assert set(column.codes.tolist()) == set(range(len(column.values)))


def test_many_names_remain_names() -> None:
    names = [f"well {number}" for number in range(300)]
    assert len(column_of("well", names).values) == 300
    assert not column_of("well", [*map(str, range(300)), "inf"]).ranges
