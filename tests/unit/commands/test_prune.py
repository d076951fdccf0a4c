"""Kept trainings are listed, and those that no result needs or that were left are removed when that is asked for."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

import pytest

from simclr_steps.commands.prune import prune
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.replaced import Own
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
    place_folder(used / "published", tmp_path / "results", Own(("*.ckpt",)))
    prune(tmp_path / "work")
    names, first, second, total = capsys.readouterr().out.splitlines()
    assert names.split() == ["size", "age", "state", "folder"]
    assert first.split() == ["1.0", "MB", "3", "days", "superseded", str(old)]
    assert second.split() == ["1.0", "MB", "1", "min", "00", "s", "in", "results", str(used)]
    assert total == "2 training runs; 1 superseded, 1.0 MB: --remove removes it"
    assert old.exists()
    prune(tmp_path / "work", remove=True)
    assert capsys.readouterr().out.splitlines()[-1] == "removed 1 of 2 training runs, 1.0 MB"
    assert not old.exists() and (used / "published/last.ckpt").exists()


def test_interrupted_trainings_are_listed_and_removed_only_if_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, left = keep(tmp_path, "old", 3), tmp_path / "digits/simclr/seed0/pretrain/left"
    left.mkdir()
    (left / "lock").touch()
    (left / "training.ckpt").write_bytes(bytes(2_000_000))
    saved = time.time() - 86_400 * 2 - 60
    os.utime(left / "training.ckpt", (saved, saved))
    prune(tmp_path)
    listed, total = capsys.readouterr().out.splitlines()[2:]
    assert listed.split() == ["2.0", "MB", "2", "days", "interrupted", str(left)]
    assert total.endswith("; 1 interrupted, 2.0 MB: --remove-interrupted removes it")
    with (left / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prune(tmp_path, remove_interrupted=True)
        assert f"goes on      {left}" in capsys.readouterr().out and left.exists()
    prune(tmp_path, remove=True)
    assert left.exists() and not old.exists()
    prune(tmp_path, remove_interrupted=True)
    assert capsys.readouterr().out.splitlines()[-1] == "removed 1 of 1 training runs, 2.0 MB" and not left.exists()


def test_where_there_are_no_locks_interrupted_trainings_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, left = keep(tmp_path, "old", 3), tmp_path / "left"
    left.mkdir()
    (left / "lock").touch()

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    prune(tmp_path, remove=True, remove_interrupted=True)
    assert f"{left} is or may be in use and stays" in capsys.readouterr().out
    assert left.exists() and not old.exists()


def test_a_work_folder_where_a_step_works_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    busy = keep(tmp_path, "busy", 1)
    with (busy / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prune(tmp_path, remove=True)
    assert f"{busy} is or may be in use and stays" in capsys.readouterr().out and busy.exists()


def test_a_folder_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="work does not exist: pass the work folder of a workflow"):
        prune(tmp_path / "work")
