"""A finished training stays when another takes its place, and is put back without training."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.machine.errors import Stopped
from simclr_steps.steps.pretrain import pretrain
from tests.unit.pretraining import CPU, OWN
from tests.unit.step_processes import content, run, said
from tests.unit.stoppable_trainings import arguments, folder_for

RESTORED = "nothing to train: the finished training was restored from work/"


@pytest.mark.parametrize("step", ["pretrain", "finetune"])
def test_a_changed_number_that_is_changed_back_trains_nothing(tmp_path: Path, data: Path, step: str) -> None:
    folder = folder_for(tmp_path, "project")
    run(arguments(step, data, epochs=1), folder)
    first, was = content(folder / "out"), said(folder)
    run(arguments(step, data, epochs=2), folder)
    assert content(folder / "out") != first and RESTORED not in said(folder)
    (tmp_path / "now").touch()
    if step == "pretrain":
        shutil.rmtree(folder / "out")  # as Snakemake does
    run(arguments(step, data, epochs=1), folder)
    assert content(folder / "out") == first
    assert RESTORED in said(folder) and said(folder).count("after epoch 1/1") == was.count("after epoch 1/1")
    now = (tmp_path / "now").stat().st_mtime
    files = [path.stat() for path in (folder / "out").rglob("*") if path.is_file()]
    names = Counter(file.st_ino for file in files)  # equal candidates are one file
    assert len(files) >= 3
    assert all(file.st_mtime >= now and file.st_nlink == 2 * names[file.st_ino] for file in files)


def test_a_kept_training_that_somebody_changed_in_place_is_not_believed(tmp_path: Path, data: Path) -> None:
    folder, command = folder_for(tmp_path, "project"), arguments("pretrain", data, epochs=1)
    run(command, folder)
    first = content(folder / "out")
    with (folder / "out/history.csv").open("a") as stream:
        stream.write("an editor's line\n")
    run(command, folder)
    assert content(folder / "out") == first
    assert "published has changed since the training and was removed: training starts over" in said(folder)
    assert RESTORED not in said(folder)


def test_a_file_system_without_hard_links_gets_copies(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    places: dict[str, Any] = {"data": data, "out": tmp_path / "out", "work": tmp_path / "work"}
    settings = OWN.model_copy(update={"epochs": 1})
    pretrain(settings, seed=0, hardware=CPU, **places)
    first, since = content(tmp_path / "out"), time.time()
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(Stopped, match="restored from") as stopped:
        pretrain(settings, seed=0, hardware=CPU, **places)
    assert stopped.value.status == 0 and content(tmp_path / "out") == first
    for file in (tmp_path / "out").glob("*.*"):
        assert file.stat().st_nlink == 1 and file.stat().st_mtime >= since - 0.1
