"""A whole number or `auto`, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from simclr_steps.settings.auto import WholeOrAuto

KIND: TypeAdapter[Any] = TypeAdapter(WholeOrAuto)


@pytest.mark.parametrize("value", [1, 512, "auto"])
def test_numbers_and_auto_are_taken_as_they_are(value: int | str) -> None:
    assert KIND.validate_python(value) == value


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "many", None])
def test_everything_else_is_refused_in_one_sentence(value: object) -> None:
    with pytest.raises(ValidationError, match="must be a whole number above 0, or auto"):
        KIND.validate_python(value)
