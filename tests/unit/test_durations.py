"""Durations are written as people write them."""

from __future__ import annotations

import pytest

from simclr_steps.durations import duration


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
