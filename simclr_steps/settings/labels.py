"""A budget of labels: a share, a number, or a number of each class."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from simclr_steps.settings.base import Settings


class PerClass(Settings):
    """The same number of labels for each class."""

    per_class: int = Field(gt=0, description="Number of labels per class.")

    def __str__(self) -> str:
        """Return the budget as a config gives it."""
        return f"{{per_class: {self.per_class}}}"


def _check_budget(value: Any) -> Any:
    is_count, is_fraction = type(value) is int and value > 0, type(value) is float and 0 < value <= 1
    if is_count or is_fraction or isinstance(value, dict | PerClass):
        return value
    raise ValueError("must be a fraction above 0 and up to 1.0, a whole number of labels, or {per_class: number}")


LabelBudget = Annotated[float | int | PerClass, BeforeValidator(_check_budget)]
