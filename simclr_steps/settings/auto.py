"""Whole numbers that may be left to the data."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field


def _check(value: Any) -> Any:
    if value == "auto" or (type(value) is int and value > 0):
        return value
    raise ValueError("must be a whole number above 0, or auto")


WholeOrAuto = Annotated[Annotated[int, Field(gt=0)] | Literal["auto"], BeforeValidator(_check)]
