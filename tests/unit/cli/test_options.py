"""Options read the command line into what the steps take."""

import time
from pathlib import Path

import pytest

from simclr_steps.cli.parser import keywords, parse
from simclr_steps.cli.table import STEPS
from simclr_steps.machine.options import Hardware, Saving
from simclr_steps.settings.pretrain import PretrainSettings

PRETRAIN = ["pretrain", "--settings", "{}", "--data", "d", "--seed", "0", "--out", "o", "--work", "w"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--gpus", "-1"), ("--seed", "-3"), ("--seed", "4294967296"), ("--seed", "x"), ("--processes", "0")],
)
def test_numbers_out_of_range_are_refused(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse([*PRETRAIN, option, value])
    assert end.value.code == 2
    assert f'error: argument {option}: "{value}" is wrong: it must be a ' in capsys.readouterr().err


def test_a_step_is_given_what_the_command_line_says() -> None:
    more = ["--gpus", "0", "--nodes", "2", "--save-minutes", "0.5", "--time-budget", "2"]
    before = time.monotonic()
    given = keywords(STEPS["pretrain"], parse([*PRETRAIN, *more]))
    saving = given.pop("saving")
    assert given == {
        "settings": PretrainSettings(),
        "data": Path("d"),
        "seed": 0,
        "out": Path("o"),
        "work": Path("w"),
        "labels": None,
        "weights": None,
        "weights_sha256": None,
        "parent": None,
        "logger": None,
        "hardware": Hardware(gpus=0, nodes=2),
    }
    assert saving == Saving(0.5, None, saving.leave_by)
    assert before + 108 <= saving.leave_by <= time.monotonic() + 108  # a tenth of the time is left to the job


def test_what_the_command_line_leaves_out_has_the_defaults_of_hardware_and_saving() -> None:
    given = keywords(STEPS["pretrain"], parse(PRETRAIN))
    assert (given["hardware"], given["saving"]) == (Hardware(), Saving())
