"""Finished trainings are listed, and those that no result needs are removed when that is asked for."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from simclr_steps.commands.prune import prune
from simclr_steps.machine.errors import UserError
from simclr_steps.training.published import kept, place_folder


def keep(work: Path, key: str, days: int) -> Path:
    """Keep a finished training of one million bytes."""
    folder = work / "digits/simclr/seed0/pretrain" / key
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    with kept(folder) as published:
        (published / "last.ckpt").write_bytes(bytes(1_000_000))
        os.link(published / "last.ckpt", published / "best_loss.ckpt")  # which is no other result's
    then = time.time() - 86_400 * days - 60
    os.utime(folder / "published", (then, then))
    return folder


def test_finished_trainings_are_listed_and_superseded_ones_removed_only_if_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, used = keep(tmp_path / "work", "old", 3), keep(tmp_path / "work", "used", 0)
    place_folder(used / "published", tmp_path / "results", ["*"])
    unfinished = tmp_path / "work/digits/simclr/seed0/pretrain/unfinished/training.ckpt"
    unfinished.parent.mkdir()
    unfinished.touch()
    prune(tmp_path / "work")
    first, second, total = capsys.readouterr().out.splitlines()
    assert first.split() == ["1.0", "MB", "3", "days", "superseded", str(old)]
    assert second.split() == ["1.0", "MB", "1", "min", "00", "s", "in", "results", str(used)]
    assert total == "2 finished training runs, 1 superseded, 1.0 MB: --remove removes them"
    assert old.exists()
    prune(tmp_path / "work", remove=True)
    assert capsys.readouterr().out.splitlines()[-1] == "removed 1 of 2 finished training runs, 1.0 MB"
    assert not old.exists() and (used / "published/last.ckpt").exists() and unfinished.exists()


def test_a_work_folder_where_a_step_works_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    busy = keep(tmp_path, "busy", 1)
    with (busy / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prune(tmp_path, remove=True)
    assert f"{busy} is in use and stays" in capsys.readouterr().out and busy.exists()


def test_a_folder_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="work does not exist: pass the work folder of a workflow"):
        prune(tmp_path / "work")
