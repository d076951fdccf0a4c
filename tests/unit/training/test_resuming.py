"""A training that is killed, stopped, out of time or out of disk loses nothing and ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from simclr_steps.machine.errors import Stopped
from simclr_steps.machine.options import Hardware, Saving
from simclr_steps.methods.simclr import SimCLR
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.steps.pretrain import pretrain
from simclr_steps.training import resuming
from simclr_steps.training.checked_files import CheckedFiles, newest_intact
from tests.unit.methods.test_augmenter import documented
from tests.unit.step_processes import (
    FINISHED,
    content,
    left_in_work,
    run,
    said,
    start,
    start_group,
    wait_for_saves,
    weights,
)
from tests.unit.stoppable_trainings import PRETRAIN, arguments, checkpoint, folder_for, uninterrupted, wait_for

KILLS = {"pretrain": 12, "given": 4, "continued": 4, "finetune": 8, "frozen": 4}


@pytest.mark.parametrize(
    "step", ["pretrain", *(pytest.param(step, marks=pytest.mark.slow) for step in KILLS if step != "pretrain")]
)
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
            assert left_in_work(killed) == FINISHED
            shutil.rmtree(killed / "work")  # where the next would find it finished
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
    assert "stopped (the time budget ran out), saved at step 5 of 5" in said(folder)
    assert content(folder / "out") == uninterrupted("pretrain", data, epochs=1)


def test_a_training_with_an_augmentation_of_its_own_goes_on_bit_equal(tmp_path: Path, data: Path) -> None:
    changes = {"epochs": 1, "augmentation": Augmentation(own="shades:shade")}
    contents = []
    for name, options in (("undisturbed", []), ("budgeted", ["--time-budget", "0"])):
        folder = folder_for(tmp_path, name)
        (folder / "shades.py").write_text(documented())
        statuses: list[int | None] = [75]
        while statuses[-1] == 75:
            process = start(arguments("pretrain", data, *options, **changes), folder)
            process.join()
            statuses.append(process.exitcode)
        assert statuses[-1] == 0 and (len(statuses) > 3) == bool(options), said(folder)
        contents.append(content(folder / "out"))
    assert contents[0] == contents[1]
    assert contents[0] != uninterrupted("pretrain", data, epochs=1)


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
    network.has_trained = getattr(network, "has_trained", False) or network.training
    while network.has_trained and not network.training and images[0].any() and not Path("go").exists():
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
    places: dict[str, Any] = {"data": data, "out": tmp_path / "out", "work": tmp_path / "work"}
    saving = Saving(every_minutes=60, leave_by=390)  # with epoch 0 two take 310 s, and a third would end after 415 s
    with pytest.raises(Stopped, match=r"stopped \(the time budget ran out\), saved at step 14 of 40") as stopped:
        pretrain(settings, seed=0, hardware=Hardware(gpus=0), saving=saving, **places)
    assert stopped.value.status == 75 and seconds[0] == 314


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


# A page leaves room for the lock beside the output, and for no result.
@pytest.mark.parametrize(("step", "left"), [("pretrain", 4096), ("finetune", 4096), ("pretrain", 0)])
def test_a_disk_that_is_full_of_results_is_named_and_the_training_is_kept(
    small_disk: Path, tmp_path: Path, data: Path, step: str, left: int
) -> None:
    folder, out = folder_for(tmp_path, "out"), small_disk / "out"
    command = arguments(step, data, "--save-minutes", "60", epochs=2)
    command[command.index("--out") + 1] = str(out)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - left))
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
