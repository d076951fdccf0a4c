"""Durations are written as people write them."""

from __future__ import annotations

import pytest

from simclr_steps.durations import duration, per_second


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_a_duration_has_the_units_that_tell_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(1234.5, "1,234"), (9.97, "10"), (5.64, "5.6"), (1.0, "1"), (0.4, "0.4"), (0.0123, "0.012")]
)
def test_a_rate_is_never_0(rate: float, text: str) -> None:
    assert per_second(rate) == text
