"""Which original values are packed as 0 and as the largest value, and how a config says so."""

from __future__ import annotations

import math
import struct
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from simclr_steps.settings.base import Settings

Limits = tuple[float, float]


class Percentiles(Settings):
    """A range between percentiles of the values that are trained on."""

    percentiles: Limits = Field(description="The lower and the upper percentile, from 0 to 100.")


ChannelRange = Literal["auto"] | Limits | Percentiles
_TOO_LARGE = "must have limits, and a difference between them, that float32 can hold: up to 3.4e38"
AUTO = Percentiles(percentiles=(0.1, 99.9))  # of values of more than 8 bits


def _check_ranges(value: Any) -> Any:
    """Check one range, or one for each channel; lists become tuples, as YAML has none."""
    if isinstance(value, list) and not all(_is_number(part) for part in value):
        return [_check_range(part) for part in value]
    return _check_range(value)


def _check_range(value: Any) -> Any:
    if value == "auto" or isinstance(value, Percentiles):
        return value
    if isinstance(value, dict) and list(value) == ["percentiles"]:
        low, high = _limits(value["percentiles"])
        if low < 0 or high > 100:
            raise ValueError("must have percentiles from 0 to 100")
        return Percentiles(percentiles=(low, high))
    low, high = _limits(value)
    _check_packable(low, high)
    return low, high


def _limits(value: Any) -> Limits:
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(map(_is_number, value)):
        raise ValueError("must be auto, [low, high], {percentiles: [low, high]}, or a list of these for each channel")
    try:
        low, high = map(float, value)
    except OverflowError:  # of whole numbers with hundreds of digits
        raise ValueError(_TOO_LARGE) from None
    if not low < high:
        raise ValueError(f"must have the lower limit first, but {low:g} is not below {high:g}")
    return low, high


def _check_packable(low: float, high: float) -> None:
    """Raise ValueError where values cannot be packed between two limits in float32, in which that is computed."""
    try:
        low_packed, high_packed = _float32(low), _float32(high)
        difference = _float32(high_packed - low_packed)
    except OverflowError:
        difference = math.inf
    if not math.isfinite(difference):
        raise ValueError(_TOO_LARGE)
    if difference <= 0:
        raise ValueError(f"must have limits that float32 can tell apart, but both become {low_packed:.9g}")


def _float32(number: float) -> float:
    """Return the nearest number of float32; OverflowError where there is none."""
    (nearest,) = struct.unpack("f", struct.pack("f", number))
    return float(nearest)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


ValueRange = Annotated[ChannelRange | list[ChannelRange], BeforeValidator(_check_ranges)]


def of_each_channel(value_range: ChannelRange | list[ChannelRange], channels: int) -> list[ChannelRange]:
    """Return the range of each channel, of which one is that of all of them."""
    return value_range if isinstance(value_range, list) else [value_range] * channels
