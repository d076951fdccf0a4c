"""How images are shown in pictures: which of their channels, and in which colors. It changes no number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import did_you_mean
from simclr_steps.settings.image_format import ImageFormat

Color = Literal["red", "green", "blue", "cyan", "magenta", "yellow", "white"]
_LONGEST_LIST = 3
Channel = Annotated[int, Field(ge=0)] | str


def _check_display(value: Any) -> Any:
    if value and (isinstance(value, dict) or (isinstance(value, list) and len(value) <= _LONGEST_LIST)):
        return value
    raise ValueError("must be a list of up to three channels, or channels with their colors, as in {DNA: blue}")


Display = Annotated[list[Channel] | dict[str, Color], BeforeValidator(_check_display)]
Light = tuple[int, int, int]  # 1 where a color has red, green, blue
Mix = dict[int, Light]  # by the number of a channel
Legend = dict[str, Light]  # by the name of a channel

_LIGHTS: dict[Color, Light] = {
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0, 1),
    "cyan": (0, 1, 1),
    "magenta": (1, 0, 1),
    "yellow": (1, 1, 0),
    "white": (1, 1, 1),
}
_OF_A_LIST: dict[int, tuple[Color, ...]] = {1: ("white",), 2: ("red", "green"), 3: ("red", "green", "blue")}


def mix_of(display: Display | None, form: ImageFormat, dataset: str) -> Mix | None:
    """Return how the images of a data set are shown; None is as they are, in gray or in their own colors.

    Without `display`, images that are neither gray nor of colors are shown by their first three channels, or by two.

    Raises
    ------
    UserError
        When a channel is not there, or is named twice.
    """
    if display is None:
        if form.channels == 1 or form.is_color:
            return None
        display = list(range(min(_LONGEST_LIST, form.channels)))
    asked: Iterable[tuple[Channel, Color]]
    asked = display.items() if isinstance(display, dict) else zip(display, _OF_A_LIST[len(display)], strict=True)
    mix: Mix = {}
    for channel, color in asked:
        number = _number(channel, form, dataset)
        if number in mix:
            raise UserError(f'datasets.{dataset}.display: channel "{channel}" appears more than once: remove one')
        mix[number] = _LIGHTS[color]
    return mix


def legend_of(mix: Mix | None, form: ImageFormat) -> Legend:
    """Return the color of each channel that is shown; nothing where images are shown as they are."""
    return {form.named(channel): light for channel, light in (mix or {}).items()}


def in_words(legend: Legend) -> str:
    """Return a legend as in "DNA in blue, ER in green"."""
    colors = {light: color for color, light in _LIGHTS.items()}
    return ", ".join(f"{channel} in {colors[light]}" for channel, light in legend.items())


def _number(channel: Channel, form: ImageFormat, dataset: str) -> int:
    """Return the number of a channel, which is given by its name or by its number."""
    names, numbers = form.channel_names or [], [str(number) for number in range(form.channels)]
    for known in (names, numbers):
        if str(channel) in known:
            return known.index(str(channel))
    advice = did_you_mean(str(channel), names or numbers)
    raise UserError(f'datasets.{dataset}.display: there is no channel "{channel}"; {advice}')
