"""A work folder belongs to one training, and to one process at a time."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.machine import provenance
from simclr_steps.machine.errors import Stopped
from simclr_steps.machine.options import Saving
from simclr_steps.networks import architecture
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.steps import pretrain as pretrain_step
from simclr_steps.steps.pretrain import pretrain
from tests.unit.pretraining import CPU, OWN
from tests.unit.step_processes import FINISHED, content, left_in_work, said, start
from tests.unit.stoppable_trainings import arguments, checkpoint, folder_for, uninterrupted, wait_for


def test_any_change_of_what_a_result_is_made_of_leads_to_another_work_folder(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folders() -> int:
        return len(list((tmp_path / "work").iterdir()))

    def begin(settings: PretrainSettings = OWN, seed: int = 0) -> None:
        with pytest.raises(Stopped):
            places: dict[str, Any] = {"data": data, "out": tmp_path / "out", "work": tmp_path / "work"}
            pretrain(settings, seed=seed, hardware=CPU, saving=Saving(leave_by=0.0), **places)

    begin()
    begin()
    assert folders() == 1
    begin(OWN.model_copy(update={"temperature": 0.3}))
    begin(seed=1)
    assert folders() == 3
    with monkeypatch.context() as patched:
        patched.setattr(provenance, "code_hash", lambda step: "another code")
        begin()
    assert folders() == 4
    with monkeypatch.context() as patched:
        patched.setattr(architecture, "own_code_hash", lambda encoder: "another own code")
        begin()
    assert folders() == 5
    with monkeypatch.context() as patched:
        patched.setattr(pretrain_step, "augmentation_code", lambda augmentation: ["another own code"])
        begin()
    assert folders() == 6
    labeled, packed = data / "dataset.json", data / "images.json"
    labeled.write_text(labeled.read_text().replace("hash-of-data", "hash-of-other-labels"))
    begin()
    assert folders() == 6, "a training keeps the labels that it began with"
    for described in (labeled, packed):
        described.write_text(described.read_text().replace("pixels-of-data", "other-pixels"))
    begin()
    assert folders() == 7


@pytest.mark.parametrize("step", ["pretrain", "finetune"])
@pytest.mark.parametrize("killed", [True, False])
def test_a_second_training_waits_and_goes_on_or_finds_the_result(
    tmp_path: Path, data: Path, step: str, killed: bool
) -> None:
    folder, command = folder_for(tmp_path, "shared"), arguments(step, data, "--save-minutes", "0")
    first = start(command, folder)
    wait_for(lambda: checkpoint(folder), first)
    assert first.pid
    os.kill(first.pid, signal.SIGSTOP)
    second = start([*command, "--out", "other"], folder)
    wait_for(lambda: "waiting for the process that trains in work/" in said(folder), second)
    os.kill(first.pid, signal.SIGKILL if killed else signal.SIGCONT)
    for process in (first, second):
        process.join(60)
    assert second.exitcode == 0, said(folder)
    assert ("resuming from" in said(folder)) == killed
    assert ("nothing to train: the finished training was restored from work/" in said(folder)) == (not killed)
    assert (folder / "out").exists() == (not killed)
    assert content(folder / "other") == uninterrupted(step, data)
    assert left_in_work(folder) == FINISHED
