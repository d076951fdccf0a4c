"""A step says how far it is, and others can see whether its log is still written."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from simclr_steps.machine.locks import is_locked
from simclr_steps.machine.logs import subject
from tests.unit.step_processes import run, said
from tests.unit.stoppable_trainings import arguments, folder_for

SPEAK = """
import sys
from pathlib import Path
from simclr_steps.machine.logs import log, start_logging
start_logging("label", Path(sys.argv[1]), quiet=sys.argv[2] == "quiet")
log.info("all is well, in \\x1b[2J too")
log.warning("warning: some is not")
"""


@pytest.mark.parametrize("how", ["quiet", "as usual"])
def test_a_quiet_step_says_only_what_warns(tmp_path: Path, how: str) -> None:
    command = [sys.executable, "-c", SPEAK, str(tmp_path / "step.log"), how]
    console = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    for text in (console, (tmp_path / "step.log").read_text()):
        assert ("all is well" in text) == (how != "quiet") and "label: warning: some is not" in text


@pytest.mark.parametrize(
    ("file", "step", "on"),
    [
        ("logs/digits/simclr/seed0/pretrain.log", "pretrain", " digits/simclr/seed0"),
        ("logs/digits/simclr/seed0/finetune/scratch_0.1.log", "finetune", " digits/simclr/seed0/scratch_0.1"),
        (
            "logs/digits/simclr/seed0/finetune/scratch_0.1.predict.log",
            "predict",
            " digits/simclr/seed0/finetune/scratch_0.1",
        ),
        ("/home/logs/ssl/logs/download/download.log", "download", " download"),
        ("logs/summary.log", "summarize", " summary"),
        ("logs/prepare.log", "prepare", ""),
        ("step.log", "pretrain", ""),
    ],
)
def test_a_step_works_on_what_the_place_of_its_log_says(file: str, step: str, on: str) -> None:
    assert subject(Path(file), step) == on


def test_lines_on_the_console_name_what_the_step_works_on(tmp_path: Path) -> None:
    log = tmp_path / "logs/100%/label.log"
    command = [sys.executable, "-c", SPEAK, str(log), "as usual"]
    console = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert r"label 100%: all is well, in \x1b[2J too" in console
    assert " label: all is well" in log.read_text()


def test_a_log_is_written_as_long_as_its_step_holds_the_lock(tmp_path: Path) -> None:
    file = tmp_path / "step.log"
    assert not is_locked(file)
    with file.open("w") as stream:
        assert not is_locked(file)
        fcntl.flock(stream, fcntl.LOCK_SH)  # as a step does
        assert is_locked(file)
    assert not is_locked(file)


def test_a_log_on_a_full_disk_ends_nothing_and_floods_nobody(small_disk: Path, tmp_path: Path, data: Path) -> None:
    folder = folder_for(tmp_path, "out")
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    run(arguments("pretrain", data, "--log", str(small_disk / "step.log"), epochs=1), folder)
    assert "done: loss" in said(folder) and "Error" not in said(folder)
