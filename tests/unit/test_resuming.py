"""A training that is killed, stopped, out of time or out of disk loses nothing and ends as if nothing had happened."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import random
import shutil
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from simclr_steps.architecture import resolve
from simclr_steps.encoders import Encoder, save_network
from simclr_steps.errors import UserError
from simclr_steps.saving import CheckedFiles, newest_intact
from simclr_steps.settings import FinetuneSettings, PretrainSettings, ProjectionHead
from tests.unit.steps import OWN_ENCODERS, content, run, said, start

PRETRAIN = PretrainSettings(
    encoder="own_encoders:with_batch_norm",
    epochs=8,
    global_batch_size=40,
    optimiser="adamw",
    learning_rate=1e-3,
    learning_rate_scaling="none",
    projection_head=ProjectionHead(hidden_size=16, output_size=8),
)
FINETUNE = FinetuneSettings(labels=100, epochs=8, batch_size=20, learning_rate=0.02, draws=2, keep="best")
KILLS = {"pretrain": 12, "finetune": 8}


@pytest.fixture
def data(write_packed: Callable[..., Path]) -> Path:
    return write_packed()


def arguments(step: str, data: Path, *options: str, **changes: Any) -> list[str]:
    """Return the command line of a small training that writes to out, in the folder where it starts."""
    kind: Any = PRETRAIN if step == "pretrain" else FINETUNE
    encoder = ["--encoder", str(data.parent / "encoder.safetensors")] if step == "finetune" else []
    if encoder:
        write_encoder(data.parent)
    settings = kind.model_copy(update=changes).model_dump_json()
    places = ["--data", str(data), "--out", "out", "--work", "work"]
    return [step, "--settings", settings, *encoder, *places, "--seed", "0", "--gpus", "0", *options]


def write_encoder(folder: Path) -> None:
    """Write an untrained encoder."""
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        shutil.copy(OWN_ENCODERS, folder)
        patch.chdir(folder)
        torch.manual_seed(0)
        save_network(folder / "encoder.safetensors", Encoder(resolve(PRETRAIN, 8, 1)))


def folder_for(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


def checkpoint(folder: Path) -> Path | None:
    return next(folder.glob("work/*/*[!s].ckpt"), None)


def wait_for(condition: Callable[[], Any], process: BaseProcess) -> None:
    """Wait until something is so, while a process runs."""
    while not condition():
        assert process.is_alive(), "it ended too early"
        time.sleep(0.002)


_WHOLE: dict[tuple[str, int], dict[str, Any]] = {}


def uninterrupted(step: str, data: Path, **changes: int) -> dict[str, Any]:
    """Return what a training writes that nothing disturbs; each is run once."""
    key = (step, changes.get("epochs", 0))
    if key not in _WHOLE:
        folder = folder_for(data.parent, "whole")
        run(arguments(step, data, **changes), folder)
        _WHOLE[key] = content(folder / "out")
    return _WHOLE[key]


@pytest.mark.parametrize("step", ["pretrain", "finetune"])
def test_training_killed_at_random_moments_ends_bit_equal(tmp_path: Path, data: Path, step: str) -> None:
    killed, command = folder_for(tmp_path, "killed"), arguments(step, data, "--save-minutes", "0")
    whole = uninterrupted(step, data)
    started = time.monotonic()
    run(command, killed)
    span = time.monotonic() - started
    moments, kills, ends = random.Random(0), 0, 0
    while kills < KILLS[step] or not ends:
        shutil.rmtree(killed / "out", ignore_errors=True)
        process = start(command, killed)
        process.join(moments.uniform(0, 0.6 * span) if kills < KILLS[step] else None)
        if process.is_alive():
            process.kill()
            process.join()
            kills += 1
        else:
            assert process.exitcode == 0, said(killed)
            assert content(killed / "out") == whole
            assert not list(killed.glob("work/*"))
            ends += 1
    assert said(killed).count("going on from") >= KILLS[step] / 4


@pytest.mark.parametrize(
    ("step", "number", "status"),
    [("pretrain", signal.SIGTERM, 143), ("finetune", signal.SIGTERM, 143), ("pretrain", signal.SIGINT, 130)],
)
def test_a_signal_saves_and_leaves_and_the_training_goes_on(
    tmp_path: Path, data: Path, step: str, number: signal.Signals, status: int
) -> None:
    folder, command = folder_for(tmp_path, "stopped"), arguments(step, data, "--save-minutes", "60")
    process = start([*command, "--save-epochs", "2"], folder)
    wait_for(lambda: checkpoint(folder), process)
    assert process.pid and not list(folder.glob("work/*/*.previous.ckpt"))
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == status, said(folder)
    last = said(folder).splitlines()[-1]
    assert f"stopped ({number.name}), saved at step" in last and last.endswith("run again to go on from there")
    assert list(folder.glob("work/*/*.previous.ckpt"))
    run(command, folder)
    assert content(folder / "out") == uninterrupted(step, data)


def test_a_time_budget_saves_and_leaves_in_time_until_the_training_is_done(tmp_path: Path, data: Path) -> None:
    folder, seconds, leaves = folder_for(tmp_path, "budgeted"), 2.0, 0
    command = arguments("pretrain", data, "--time-budget", str(seconds / 60), epochs=30)
    while not (folder / "out").exists():
        process = start(command, folder)
        process.join(10 * seconds)
        assert process.exitcode in (0, 75), said(folder)
        leaves += process.exitcode == 75
    assert leaves and "stopped (the time budget is used up), saved at step" in said(folder)
    assert content(folder / "out") == uninterrupted("pretrain", data, epochs=30)


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
    assert "going on from work/" in said(folder) and "training.previous.ckpt" in said(folder)
    assert content(folder / "out") == uninterrupted("pretrain", data)


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
    second = start(command, folder)
    wait_for(lambda: "waiting for the process that trains in work/" in said(folder), second)
    os.kill(first.pid, signal.SIGKILL if killed else signal.SIGCONT)
    for process in (first, second):
        process.join(60)
    assert second.exitcode == 0, said(folder)
    assert ("going on from" in said(folder)) == killed
    assert ("was made by the process that was waited for" in said(folder)) == (not killed)
    assert content(folder / "out") == uninterrupted(step, data)
    assert not list(folder.glob("work/*"))


DIVERGING = """
import torch
from torch import nn


class Diverging(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.linear = nn.Linear(channels * 64, 8)
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, x):
        self.steps += self.training
        return self.linear(x.flatten(1)) * (float("nan") if self.training and self.steps == 13 else 1.0)


def encoder(channels, image_size):
    return Diverging(channels)
"""


@pytest.mark.parametrize(("saving", "kept_step"), [(["--save-minutes", "0"], 12), (["--save-epochs", "1"], 10)])
def test_a_loss_that_is_not_finite_stops_at_its_step_and_keeps_the_last_good_checkpoint(
    tmp_path: Path, data: Path, saving: list[str], kept_step: int
) -> None:
    folder = folder_for(tmp_path, "out")
    (folder / "diverging.py").write_text(DIVERGING)
    process = start(arguments("pretrain", data, *saving, encoder="diverging:encoder"), folder)
    process.join()
    assert process.exitcode == 1 and not (folder / "out").exists()
    kept, last = checkpoint(folder), said(folder).splitlines()[-1]
    assert "not finite at step 13 (epoch 3): lower learning_rate" in last
    assert kept and last.endswith(f"the last good checkpoint is {kept.relative_to(folder)}")
    state = CheckedFiles().load_checkpoint(kept)
    assert state["global_step"] == kept_step
    assert all(bool(weight.isfinite().all()) for weight in state["state_dict"].values())


def test_a_full_disk_is_named_and_both_generations_stay(small_disk: Path, tmp_path: Path, data: Path) -> None:
    folder = folder_for(tmp_path, "out")
    command = arguments("pretrain", data, "--save-minutes", "0", epochs=400)
    command[command.index("--work") + 1] = str(small_disk / "work")
    process = start(command, folder)
    wait_for(lambda: list(small_disk.glob("work/*/*.previous.ckpt")), process)
    free = shutil.disk_usage(small_disk).free
    (small_disk / "filler").write_bytes(bytes(max(0, free - 4096)))
    process.join()
    file = next(small_disk.glob("work/*/training.ckpt"))
    assert process.exitcode == 1
    assert f"the disk is full while writing {file}: free some space and run again" in said(folder)
    assert newest_intact(file) == file and file.with_suffix(".previous.ckpt").exists()
    assert not list(small_disk.glob("work/*/*.partial"))


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
