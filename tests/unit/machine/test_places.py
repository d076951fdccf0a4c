"""What a step makes has one place, where one step works at a time, and which belongs to the one started last."""

from __future__ import annotations

import os
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.data.packed import read_packed
from simclr_steps.files import write_text
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.places import claimed
from tests.unit.step_processes import content, run, said, start
from tests.unit.stoppable_trainings import arguments, checkpoint, folder_for, wait_for

WAITS = "waiting for the process that writes"
LATER = "belongs to a step with different settings that started after this one: nothing was written there"


def pause(process: BaseProcess) -> int:
    assert process.pid
    os.kill(process.pid, signal.SIGSTOP)
    return process.pid


def join(*processes: BaseProcess) -> list[int | None]:
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


@pytest.mark.slow
@pytest.mark.parametrize("step", ["pretrain", "finetune"])
def test_a_step_that_is_started_later_with_other_settings_keeps_its_place(
    tmp_path: Path, data: Path, step: str
) -> None:
    folder = folder_for(tmp_path, "shared")
    old, new = (arguments(step, data, "--save-minutes", "0", epochs=epochs) for epochs in (8, 1))
    first = start(old, folder)
    wait_for(lambda: checkpoint(folder), first)
    number = pause(first)
    second = start(new, folder)
    wait_for(lambda: WAITS in said(folder), second)
    os.kill(number, signal.SIGCONT)
    assert join(first, second) == [1, 0]
    assert said(folder).count(LATER) == 1 and "Traceback" not in said(folder)
    alone = folder_for(tmp_path, "alone")
    run(new, alone)
    assert content(folder / "out") == content(alone / "out")
    assert not list(folder.glob(".*"))
    run(old, folder)
    assert "nothing to train: the finished training was restored" in said(folder), "it was not lost"


def test_a_step_that_stops_waiting_claims_nothing(tmp_path: Path, data: Path) -> None:
    folder = folder_for(tmp_path, "shared")
    first = start(arguments("pretrain", data, "--save-minutes", "0", epochs=2), folder)
    wait_for(lambda: checkpoint(folder), first)
    number = pause(first)
    second = start(arguments("pretrain", data, epochs=1), folder)
    wait_for(lambda: WAITS in said(folder), second)
    second.terminate()
    assert join(second) == [143]
    os.kill(number, signal.SIGCONT)
    assert join(first) == [0], said(folder)
    assert not list(folder.glob(".*"))


def test_two_that_prepare_at_once_leave_what_the_later_one_makes(tmp_path: Path) -> None:
    run(["download", "--settings", '{"source": "digits"}', "--folder", "files", "--out", "originals.json"], tmp_path)

    def prepare(subset: int, out: str = "packed") -> list[str]:
        settings = f'{{"source": "digits", "subset": {subset}}}'
        return ["prepare", "--settings", settings, "--originals", "originals.json", "--out", out]

    first = start(prepare(200), tmp_path)
    wait_for(lambda: list(tmp_path.glob("packed/.*partial*/train.images.npy")), first)
    number = pause(first)
    second = start(prepare(100), tmp_path)
    wait_for(lambda: WAITS in said(tmp_path), second)
    os.kill(number, signal.SIGCONT)
    assert join(first, second) == [1, 0], said(tmp_path)
    assert not list(tmp_path.rglob(".*"))
    run(prepare(100, "alone"), tmp_path)
    together, alone = (read_packed(tmp_path / name) for name in ("packed", "alone"))
    assert together.pixel_hash == alone.pixel_hash
    for file in (tmp_path / "alone").glob("*.*[!n]"):
        assert (tmp_path / "packed" / file.name).read_bytes() == file.read_bytes()


def test_a_place_is_left_to_a_later_claim_unless_that_makes_the_same(tmp_path: Path) -> None:
    place, lock = tmp_path / "results" / "out", tmp_path / "results" / ".out.lock"
    with claimed(place, "mine"):
        write_text(place / "one", "1")
        lock.write_text("mine another")
        write_text(place / "two", "2")
        lock.write_text("other another")
        write_text(tmp_path / "elsewhere", "3")
        with pytest.raises(UserError, match=LATER):
            write_text(place / "three", "3")
    assert sorted(path.name for path in place.iterdir()) == ["one", "two"]
    assert lock.read_text() == "other another"


def test_a_folder_in_one_that_cannot_be_written_to_is_locked_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(path: Any, mode: int) -> bool:
        return Path(path) != tmp_path  # root may write anywhere

    monkeypatch.setattr(os, "access", refuses)
    (tmp_path / "out").mkdir()
    with claimed(tmp_path / "out", "mine"):
        assert (tmp_path / "out/.lock").exists()
    assert not list((tmp_path / "out").iterdir())
