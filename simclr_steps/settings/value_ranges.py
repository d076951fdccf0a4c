"""Which original values are packed as 0 and as the largest value, and how a config says so."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from simclr_steps.settings.base import Settings

Limits = tuple[float, float]


class Percentiles(Settings):
    """A range between percentiles of the values that are trained on."""

    percentiles: Limits = Field(description="The lower and the upper percentile, from 0 to 100.")


ChannelRange = Literal["auto"] | Limits | Percentiles
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
    return _limits(value)


def _limits(value: Any) -> Limits:
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(map(_is_number, value)):
        raise ValueError("must be auto, [low, high], {percentiles: [low, high]}, or a list of these for each channel")
    low, high = map(float, value)
    if not low < high:
        raise ValueError(f"must have the lower limit first, but {low:g} is not below {high:g}")
    return low, high


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


ValueRange = Annotated[ChannelRange | list[ChannelRange], BeforeValidator(_check_ranges)]


def of_each_channel(value_range: ChannelRange | list[ChannelRange], channels: int) -> list[ChannelRange]:
    """Return the range of each channel, of which one is that of all of them."""
    return value_range if isinstance(value_range, list) else [value_range] * channels
