"""The table of steps and the steps' functions agree."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from simclr_steps.cli.options import GROUPS, Step
from simclr_steps.cli.table import STEPS

PACKAGE = Path(__file__).parents[3] / "simclr_steps"


def function(step: Step) -> Callable[..., None]:
    found: Callable[..., None] = getattr(importlib.import_module(f"simclr_steps.{step.wing}.{step.name}"), step.name)
    return found


def test_every_step_has_an_entry() -> None:
    modules = {file.stem for file in (PACKAGE / "steps").glob("*.py")} - {"__init__"}
    assert modules == {step.name for step in STEPS.values() if step.wing == "steps"}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_options_are_the_parameters_of_the_function(step: Step) -> None:
    taken = inspect.signature(function(step)).parameters
    assert list(taken) == list(dict.fromkeys(option.to.split(".")[0] for option in step.options))
    assert len({option.flag for option in step.options}) == len(step.options)


@pytest.mark.parametrize("step", [step for step in STEPS.values() if step.name != "export"], ids=lambda step: step.name)
def test_every_out_is_looked_at_before_the_step_but_that_of_export_which_is_a_file_or_a_folder(step: Step) -> None:
    assert all(option.check for option in step.options if option.to == "out")


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_options_give_what_the_parameters_are_typed_for(step: Step) -> None:
    hints = typing.get_type_hints(function(step), include_extras=True)
    for option in step.options:
        parameter, _, field = option.to.partition(".")
        if field:
            assert hints[parameter] is GROUPS[parameter]
            assert field in {known.name for known in fields(GROUPS[parameter])}
        elif option.settings:
            assert hints[parameter] == option.settings
        elif "required" in option.keywords:
            may_be_absent = type(None) in typing.get_args(hints[parameter])
            assert may_be_absent == (not option.keywords["required"])
