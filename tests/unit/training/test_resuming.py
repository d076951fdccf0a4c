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
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from simclr_steps.machine.errors import Stopped, UserError
from simclr_steps.machine.options import Hardware, Saving
from simclr_steps.methods.simclr import SimCLR
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder, save_network
from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.steps.pretrain import pretrain
from simclr_steps.training import resuming
from simclr_steps.training.checked_files import CheckedFiles, newest_intact
from tests.unit.step_processes import OWN_ENCODERS, content, run, said, start, start_group, wait_for_saves, weights

PRETRAIN = PretrainSettings(
    encoder="own_encoders:with_batch_norm",
    epochs=8,
    global_batch_size=40,
    optimizer="adamw",
    learning_rate=1e-3,
    learning_rate_scaling="none",
    projection_head=ProjectionHead(hidden_size=16, output_size=8),
)
FINETUNE = FinetuneSettings(labels=100, epochs=8, batch_size=20, learning_rate=0.02, draws=2, keep="best")
FROZEN = FINETUNE.model_copy(update={"freeze": True})
KILLS = {"pretrain": 12, "finetune": 8, "frozen": 4}


@pytest.fixture
def data(write_packed: Callable[..., Path]) -> Path:
    return write_packed()


def arguments(step: str, data: Path, *options: str, **changes: Any) -> list[str]:
    """Return the command line of a small training that writes to out, in the folder where it starts."""
    kinds: dict[str, Any] = {"pretrain": PRETRAIN, "finetune": FINETUNE, "frozen": FROZEN}
    places = ["--data", str(data), "--out", "out", "--work", "work"]
    if step != "pretrain":
        write_encoder(data.parent, changes.pop("encoder", PRETRAIN.encoder))
        places += ["--encoder", str(data.parent / "encoder.safetensors")]
    settings = kinds[step].model_copy(update=changes).model_dump_json()
    command = "pretrain" if step == "pretrain" else "finetune"
    return [command, "--settings", settings, *places, "--seed", "0", "--gpus", "0", *options]


def write_encoder(folder: Path, encoder: str) -> None:
    """Write an untrained encoder."""
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        shutil.copy(OWN_ENCODERS, folder)
        patch.chdir(folder)
        torch.manual_seed(0)
        settings = PRETRAIN.model_copy(update={"encoder": encoder})
        save_network(folder / "encoder.safetensors", Encoder(resolve(settings, 8, 1)))


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


_WHOLE: dict[str, dict[str, Any]] = {}


def uninterrupted(step: str, data: Path, **changes: int) -> dict[str, Any]:
    """Return what a training writes that nothing disturbs; each is run once."""
    key = f"{step} {changes}"
    if key not in _WHOLE:
        folder = folder_for(data.parent, "whole")
        run(arguments(step, data, **changes), folder)
        _WHOLE[key] = content(folder / "out")
    return _WHOLE[key]


@pytest.mark.parametrize("step", ["pretrain", "finetune", "frozen"])
def test_training_killed_at_random_moments_ends_bit_equal(tmp_path: Path, data: Path, step: str) -> None:
    killed, command = folder_for(tmp_path, "killed"), arguments(step, data, "--save-minutes", "0")
    whole = uninterrupted(step, data)
    moments, kills, ends = random.Random(0), 0, 0
    while kills < KILLS[step] or not ends:
        shutil.rmtree(killed / "out", ignore_errors=True)
        process = start(command, killed)
        if kills < KILLS[step]:
            wait_for_saves(moments.randrange(12), killed, process.is_alive)
            process.join(moments.uniform(0, 0.02))
        else:
            process.join()
        if process.is_alive():
            process.kill()
            process.join()
            kills += 1
        else:
            assert process.exitcode == 0, said(killed)
            assert content(killed / "out") == whole
            assert not list(killed.glob("work/*"))
            ends += 1
    assert said(killed).count("resuming from") >= KILLS[step] / 4


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
    assert f"stopped ({number.name}), saved at step" in last and last.endswith("run again to resume")
    assert list(folder.glob("work/*/*.previous.ckpt"))
    run(command, folder)
    assert content(folder / "out") == uninterrupted(step, data)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_the_whole_job_ends_it_saved_though_processes_read_ahead(
    tmp_path: Path, data: Path, number: signal.Signals, status: int
) -> None:
    folder = folder_for(tmp_path, "stopped")
    command = arguments("pretrain", data, "--save-minutes", "60", "--save-epochs", "2", "--workers", "2")
    process = start_group(command, folder)
    wait_for(lambda: checkpoint(folder), process)
    assert process.pid
    os.killpg(process.pid, number)
    process.join()
    assert process.exitcode == status, said(folder)
    assert f"stopped ({number.name}), saved at step" in said(folder).splitlines()[-1]
    run(command, folder)
    assert content(folder / "out") == uninterrupted("pretrain", data)


def test_a_used_up_time_budget_leaves_after_each_step_until_the_training_is_done(tmp_path: Path, data: Path) -> None:
    folder, statuses = folder_for(tmp_path, "budgeted"), []
    command = arguments("pretrain", data, "--time-budget", "0", epochs=1)
    while not (folder / "out").exists():
        process = start(command, folder)
        process.join()
        statuses.append(process.exitcode)
        assert process.exitcode in (0, 75), said(folder)
    assert statuses == [75] * 5 + [0]
    assert "stopped (the time budget is used up), saved at step 5 of 5" in said(folder)
    assert content(folder / "out") == uninterrupted("pretrain", data, epochs=1)


def test_a_frozen_backbone_stays_as_it_was_though_its_training_is_left_in_mid_epoch(tmp_path: Path, data: Path) -> None:
    folder, changes = folder_for(tmp_path, "budgeted"), {"draws": 1, "epochs": 1, "batch_size": 34}  # three batches
    command, process = arguments("frozen", data, "--time-budget", "0", **changes), None
    while process is None or process.exitcode == 75:
        process = start(command, folder)
        process.join()
    assert process.exitcode == 0 and said(folder).count("resuming from") == 3, said(folder)
    before, after = weights(data.parent / "encoder.safetensors"), weights(folder / "out" / "model.safetensors")
    backbone = [name for name in before if name.startswith("backbone.")]
    assert "backbone.1.running_mean" in backbone
    assert all(torch.equal(before[name], after[name]) for name in backbone)
    assert content(folder / "out") == uninterrupted("frozen", data, **changes)


SLOW_TO_JUDGE = """
import time
from pathlib import Path

import own_encoders


def encoder(channels, image_size):
    network = own_encoders.with_batch_norm(channels, image_size)
    network.register_forward_pre_hook(wait)
    return network


def wait(network, images):
    while not network.training and images[0].any() and not Path("go").exists():
        time.sleep(0.01)
"""


def test_with_a_time_budget_a_kill_in_the_first_validation_costs_one_step(tmp_path: Path, data: Path) -> None:
    folder = folder_for(tmp_path, "killed")
    (folder / "slow.py").write_text(SLOW_TO_JUDGE)
    options = ("--time-budget", "60", "--save-minutes", "60")
    command = arguments("pretrain", data, *options, encoder="slow:encoder", epochs=2)
    process = start(command, folder)
    wait_for(lambda: checkpoint(folder), process)
    process.kill()
    process.join()
    assert CheckedFiles().load_checkpoint(checkpoint(folder))["global_step"] == 4  # of 5 in the first epoch
    (folder / "go").touch()
    run(command, folder)
    assert "resuming from" in said(folder)
    assert content(folder / "out") == uninterrupted("pretrain", data, epochs=2)


def test_a_training_leaves_before_an_epochs_end_that_is_known_not_to_fit(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [0.0]

    def takes(duration: float, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any) -> Any:
            seconds[0] += duration
            return work(*given)

        return timed

    monkeypatch.setattr(resuming, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    monkeypatch.setattr(SimCLR, "training_step", takes(1, SimCLR.training_step))
    monkeypatch.setattr(SimCLR, "validate", takes(100, SimCLR.validate))
    settings = PRETRAIN.model_copy(update={"encoder": "tests.own_encoders:with_batch_norm"})
    places = {"data": data, "out": tmp_path / "out", "work": tmp_path / "work"}
    saving = Saving(every_minutes=60, leave_by=290)  # two epochs take 210 s, and a third would end after 315 s
    with pytest.raises(Stopped, match=r"stopped \(the time budget is used up\), saved at step 14 of 40") as stopped:
        pretrain(settings, seed=0, hardware=Hardware(gpus=0), saving=saving, **places)
    assert stopped.value.status == 75 and seconds[0] == 214


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
    assert ("resuming from" in said(folder)) == killed
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


LATE = """
import torch
from torch import nn


class Late(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.linear = nn.Linear(channels * 64, 8)
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, x):
        self.steps += self.training
        features = self.linear(x.flatten(1))
        if self.training and self.steps == 5:
            features.register_hook(lambda gradient: gradient * float("nan"))
        return features if self.training or not x.any() else features * BLIND


def encoder(channels, image_size):
    return Late(channels)
"""


@pytest.mark.parametrize("step", ["pretrain", "finetune"])
def test_weights_that_the_last_update_spoils_are_never_published(tmp_path: Path, data: Path, step: str) -> None:
    folder = folder_for(tmp_path, "out")
    (data.parent / "late.py").write_text(LATE.replace("BLIND", "1.0"))
    shutil.copy(data.parent / "late.py", folder)
    command = arguments(step, data, encoder="late:encoder", epochs=1)
    process = start(command, folder)
    process.join()
    assert process.exitcode == 1 and not (folder / "out").exists(), said(folder)
    assert "the loss or the weights are not finite at step 5 (epoch 1): lower learning_rate" in said(folder)


def test_a_hold_out_that_is_measured_as_not_finite_stops_before_any_candidate_is_made(
    tmp_path: Path, data: Path
) -> None:
    folder = folder_for(tmp_path, "out")
    (folder / "late.py").write_text(LATE.replace("BLIND", 'float("nan")').replace("== 5", "== -1"))
    process = start(arguments("pretrain", data, encoder="late:encoder", epochs=2), folder)
    process.join()
    assert process.exitcode == 1 and not (folder / "out").exists(), said(folder)
    assert "validate_loss of the hold-out is not finite after epoch 1: lower learning_rate" in said(folder)


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


@pytest.mark.parametrize("step", ["pretrain", "finetune"])
def test_a_disk_that_is_full_of_results_is_named_and_the_training_is_kept(
    small_disk: Path, tmp_path: Path, data: Path, step: str
) -> None:
    folder, out = folder_for(tmp_path, "out"), small_disk / "out"
    command = arguments(step, data, "--save-minutes", "60", epochs=2)
    command[command.index("--out") + 1] = str(out)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free))
    process = start(command, folder)
    process.join()
    assert process.exitcode == 1, said(folder)
    last = said(folder).splitlines()[-1]
    assert f"error: the disk is full while writing {small_disk}" in last and "Traceback" not in said(folder)
    assert not out.exists() or not list(out.iterdir())
    filler.unlink()
    run(command, folder)
    assert said(folder).count("after epoch 2/2") == 1 + (step == "finetune"), "each training was done once"
    assert content(out) == uninterrupted(step, data, epochs=2)


def test_a_log_on_a_full_disk_ends_nothing_and_floods_nobody(small_disk: Path, tmp_path: Path, data: Path) -> None:
    folder = folder_for(tmp_path, "out")
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    run(arguments("pretrain", data, "--log", str(small_disk / "step.log"), epochs=1), folder)
    assert "done: loss" in said(folder) and "Error" not in said(folder)


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
