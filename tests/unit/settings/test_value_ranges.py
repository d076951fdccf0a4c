from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from simclr_steps.settings.value_ranges import Percentiles, ValueRange, of_each_channel

RANGE: TypeAdapter[Any] = TypeAdapter(ValueRange)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("auto", "auto"),
        ([0, 4095], (0.0, 4095.0)),
        ([-1.7e38, 1.7e38], (-1.7e38, 1.7e38)),
        ([0, 1e-44], (0.0, 1e-44)),
        ({"percentiles": [1, 99]}, Percentiles(percentiles=(1, 99))),
        (["auto", [0, 1], {"percentiles": [0, 100]}], ["auto", (0.0, 1.0), Percentiles(percentiles=(0, 100))]),
    ],
)
def test_a_range_is_one_for_all_channels_or_one_for_each(written: Any, meant: Any) -> None:
    assert RANGE.validate_python(written) == meant
    assert RANGE.validate_python(RANGE.dump_python(RANGE.validate_python(written), mode="json")) == meant
    assert of_each_channel(RANGE.validate_python(written), 3) == (meant if isinstance(meant, list) else [meant] * 3)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ([4095, 0], "must have the lower limit first, but 4095 is not below 0"),
        ([7, 7], "must have the lower limit first"),
        ([float("nan"), 1], "must have the lower limit first"),
        ([0, 1, 2], "must be auto"),
        ("full", "must be auto"),
        ({"percentiles": [-1, 50]}, "must have percentiles from 0 to 100"),
        ({"percentiles": [1, 101]}, "must have percentiles from 0 to 100"),
        ([True, 2], "must be auto"),
        ([0, 1e39], "that float32 can hold"),
        ([-1e308, 1e308], "that float32 can hold"),
        ([-3e38, 3e38], "that float32 can hold"),
        ([0, float("inf")], "that float32 can hold"),
        ([0, 10**400], "that float32 can hold"),
        ({"percentiles": [0, 10**400]}, "that float32 can hold"),
        ([1e8, 1e8 + 1], "must have limits that float32 can tell apart, but both become 100000000"),
        ([0, 1e-50], "that float32 can tell apart, but both become 0"),
        (["auto", [0, 1e39]], "that float32 can hold"),
    ],
)
def test_what_is_no_range_is_refused(written: Any, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        RANGE.validate_python(written)
