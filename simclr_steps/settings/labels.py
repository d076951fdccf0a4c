"""A budget of labels: a share, a number, a number of each class, or all those of a number of groups."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter
from pydantic_core import PydanticCustomError

from simclr_steps.settings.base import Settings, did_you_mean


class PerClass(Settings):
    """The same number of labels for each class."""

    per_class: int = Field(gt=0, description="Number of labels per class.")

    def __str__(self) -> str:
        """Return the budget as a config gives it."""
        return f"{{per_class: {self.per_class}}}"


class WholeGroups(Settings):
    """All labels of some groups of images."""

    groups: int = Field(gt=0, description="Number of groups, such as patients, of which all labels are used.")

    def __str__(self) -> str:
        """Return the budget as a config gives it."""
        return f"{{groups: {self.groups}}}"


_KEYS = (*PerClass.model_fields, *WholeGroups.model_fields)


def _check_budget(value: Any) -> Any:
    is_count, is_fraction = type(value) is int and value > 0, type(value) is float and 0 < value <= 1
    if isinstance(value, dict):
        for key in map(str, value):
            if key not in _KEYS:
                advice = did_you_mean(key, _KEYS)
                raise PydanticCustomError(
                    "unknown_key", 'unknown key "{key}"; {advice}', {"key": key, "advice": advice}
                )
    elif not is_count and not is_fraction and not isinstance(value, PerClass | WholeGroups):
        blocks = " or ".join(f"{{{key}: number}}" for key in _KEYS)
        raise ValueError(f"must be a fraction above 0 and up to 1.0, a whole number of labels, or {blocks}")
    return value


LabelBudget = Annotated[float | int | PerClass | WholeGroups, BeforeValidator(_check_budget)]


def in_words(budget: Any) -> str:
    """Return a budget, also one as a record holds it, in words: "all", "10 %", "50", "5 per class", "3 groups"."""
    if isinstance(given := TypeAdapter[Any](LabelBudget).validate_python(budget), float):
        return "all" if given == 1 else f"{100 * given:g} %"
    if isinstance(given, PerClass):
        return f"{given.per_class:,} per class"
    return f"{given.groups:,} group{'s' * (given.groups != 1)}" if isinstance(given, WholeGroups) else f"{given:,}"
