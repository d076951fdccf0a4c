"""What a training saves is read only as it was written, and the generation before serves where it is damaged."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from simclr_steps.machine.errors import UserError
from simclr_steps.training.checked_files import CheckedFiles, newest_intact
from tests.unit.step_processes import content, run, said, start
from tests.unit.stoppable_trainings import arguments, folder_for, uninterrupted, wait_for


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_serves(tmp_path: Path, data: Path) -> None:
    folder, command = folder_for(tmp_path, "stopped"), arguments("pretrain", data, "--save-minutes", "0")
    process = start(command, folder)
    wait_for(lambda: list(folder.glob("work/*/*.previous.ckpt")), process)
    process.terminate()
    process.join()
    newest = next(folder.glob("work/*/training.ckpt"))
    newest.write_bytes(newest.read_bytes()[:-1000])
    run(command, folder)
    assert f"{newest.relative_to(folder)} is damaged and was removed" in said(folder)
    assert "resuming from work/" in said(folder) and "training.previous.ckpt" in said(folder)
    assert content(folder / "out") == uninterrupted("pretrain", data)


def test_nothing_is_unpickled_that_does_not_match_its_checksum(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "sprung",)

    stream = io.BytesIO()
    torch.save({"state": Trap()}, stream)
    file = tmp_path / "training.ckpt"
    file.write_bytes(stream.getvalue())
    with pytest.raises(UserError, match="training.ckpt is damaged"):
        CheckedFiles().load_checkpoint(file)
    assert newest_intact(file) is None and not file.exists()
    file.write_bytes(stream.getvalue() + hashlib.sha256(stream.getvalue()).digest())
    with pytest.raises(pickle.UnpicklingError, match="[Ww]eights only"):
        CheckedFiles().load_checkpoint(file)
    assert not (tmp_path / "sprung").exists()
