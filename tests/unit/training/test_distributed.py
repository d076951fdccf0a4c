"""The same global batch gives the same training on one process and on several, and they start, stop and end as one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import torch

from simclr_steps.files import read_table
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.training import trainer
from tests.forked import SERVER
from tests.unit.step_processes import (
    OWN_ENCODERS,
    content,
    run,
    run_here,
    said,
    start,
    start_all,
    wait_for_saves,
    weights,
)

SETTINGS = PretrainSettings(
    encoder="own_encoders:smooth_with_batch_norm",
    epochs=4,  # of 5 steps each
    global_batch_size=40,
    optimizer="sgd",
    learning_rate=0.1,
    learning_rate_scaling="none",
    projection_head=ProjectionHead(hidden_size=16, output_size=8),
    precision="fp32",  # bf16 rounds the sums of a slice unlike those of the whole batch
)
REPOSITORY = Path(__file__).parents[3]
JOB = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1"}


def arguments(data: Path, *options: str, epochs: int = 4) -> list[str]:
    settings = SETTINGS.model_copy(update={"epochs": epochs}).model_dump_json()
    places = ["--data", str(data), "--out", "out", "--work", "work"]
    return ["pretrain", "--settings", settings, *places, "--seed", "0", "--gpus", "0", *options]


def folder_for(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


def wait_for_checkpoint(folder: Path, is_alive: Callable[[], bool]) -> None:
    while not list(folder.glob("work/*/training.ckpt")):
        assert is_alive(), said(folder)
        time.sleep(0.01)


def distance(found: Path, expected: Path) -> float:
    """Return how far apart the last weights in two folders are: the largest of the tensors' relative distances.

    CPUs round sums of other lengths in other ways, which 20 steps make 1.3e-5. Negatives of one's own process only make
    it 0.26, and batch norm of one's own process 0.55.
    """
    one, other = (weights(folder / "out" / "last.ckpt") for folder in (found, expected))
    is_zero = {name for name, weight in other.items() if not weight.any()}
    assert all(torch.equal(one[name], other[name]) for name in is_zero)
    return max(
        float((one[name] - weight).double().norm() / weight.double().norm())
        for name, weight in other.items()
        if name not in is_zero
    )


def test_one_two_and_four_processes_make_the_same_weights_in_20_steps(tmp_path: Path, data: Path) -> None:
    one = folder_for(tmp_path, "one")
    run(arguments(data), one)
    for count in (2, 4):
        several = folder_for(tmp_path, f"processes{count}")
        processes = start_all(count, arguments(data), several)
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0] * count, said(several)
        assert distance(several, one) < 1e-4
        tables = [read_table(folder / "out" / "checkpoints.csv") for folder in (one, several)]
        for alone, together in zip(*tables, strict=True):
            assert (alone["file"], alone["step"]) == (together["file"], together["step"])
            assert float(alone["validate_loss"]) == pytest.approx(float(together["validate_loss"]), rel=1e-4)


def test_two_nodes_that_srun_starts_train_as_one_process_does(tmp_path: Path, data: Path) -> None:
    one, nodes = folder_for(tmp_path, "one"), folder_for(tmp_path, "nodes")
    run(arguments(data), one)
    command = arguments(data, "--processes", "2", "--nodes", "2")
    processes = [start(command, nodes, SLURM_NODEID=str(node), **JOB) for node in range(2)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0], said(nodes)
    assert distance(nodes, one) < 1e-4


def _impatient(arguments: list[str], folder: Path) -> None:
    trainer.LONGEST_WAIT = timedelta(seconds=3)
    run_here(arguments, folder, JOB | {"SLURM_NODEID": "0"})


def test_a_node_whose_other_does_not_come_says_what_it_waits_for_and_ends(tmp_path: Path, data: Path) -> None:
    shutil.copy(OWN_ENCODERS, tmp_path)
    process = SERVER.Process(target=_impatient, args=(arguments(data, "--processes", "2", "--nodes", "2"), tmp_path))
    process.start()
    process.join(120)
    process.kill()
    assert process.exitcode == 1, said(tmp_path)
    assert re.search(r"waiting for the processes of all 2 nodes at 127\.0\.0\.1:\d+\n", said(tmp_path))
    assert re.search(r"could not all connect to 127\.0\.0\.1:\d+ \(.*\): check that each started", said(tmp_path))
    assert "Traceback" not in said(tmp_path)


@pytest.mark.parametrize(
    ("processes", "launcher", "sentence"),
    [
        ("2", {}, "--nodes 2 needs a process on each: start it with srun"),
        ("3", {"NODE_RANK": "0"}, "3 processes cannot be divided evenly among 2 nodes: request a multiple"),
    ],
)
def test_nodes_without_a_launcher_or_an_equal_share_are_named(
    tmp_path: Path, data: Path, processes: str, launcher: dict[str, str], sentence: str
) -> None:
    process = start(arguments(data, "--processes", processes, "--nodes", "2"), tmp_path, **launcher)
    process.join()
    assert process.exitcode == 1 and sentence in said(tmp_path)


@pytest.mark.slow
def test_a_signal_to_any_process_ends_all_saved_and_they_go_on_together(tmp_path: Path, data: Path) -> None:
    whole, stopped = folder_for(tmp_path, "whole"), folder_for(tmp_path, "stopped")
    command = arguments(data, "--save-minutes", "0", epochs=8)
    for process in start_all(2, command, whole):
        process.join()
    processes = start_all(2, command, stopped)
    wait_for_checkpoint(stopped, processes[0].is_alive)
    pid = processes[1].pid
    assert pid
    os.kill(pid, signal.SIGTERM)
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [143, 0], said(stopped)
    assert said(stopped).count("stopped (SIGTERM), saved at step") == 1
    for process in start_all(2, command, stopped):
        process.join()
    assert "resuming from" in said(stopped)
    assert content(stopped / "out") == content(whole / "out")


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_history_holds_the_same_loss_though_the_processes_change_in_mid_epoch(
    tmp_path: Path, data: Path, before: int, after: int
) -> None:
    whole, changed = folder_for(tmp_path, "whole"), folder_for(tmp_path, "changed")
    run(arguments(data, epochs=1), whole)
    for count, options, status in ((before, ("--time-budget", "0"), 75), (after, (), 0)):
        processes = start_all(count, arguments(data, *options, epochs=1), changed)
        for process in processes:
            process.join()
        assert processes[0].exitcode == status, said(changed)
    rows = [read_table(folder / "out" / "history.csv")[1] for folder in (whole, changed)]
    assert float(rows[0]["loss"]) == pytest.approx(float(rows[1]["loss"]), rel=1e-4)


def test_two_processes_killed_at_any_moment_and_resumed_end_as_if_nothing_had_happened(
    tmp_path: Path, data: Path
) -> None:
    whole, killed = folder_for(tmp_path, "whole"), folder_for(tmp_path, "killed")
    command = arguments(data, "--save-minutes", "0", epochs=8)
    for process in start_all(2, command, whole):
        process.join()
    for saves in (1, 9):
        processes = start_all(2, command, killed)
        wait_for_saves(saves, killed, processes[0].is_alive)
        for process in processes:
            process.kill()
    for process in start_all(2, command, killed):
        process.join()
        assert process.exitcode == 0, said(killed)
    assert said(killed).count("resuming from") == 2
    assert content(killed / "out") == content(whole / "out")


@pytest.mark.slow
def test_a_killed_process_is_reported_in_one_sentence_and_training_resumes_from_the_last_save(
    tmp_path: Path, data: Path
) -> None:
    whole, folder = folder_for(tmp_path, "whole"), folder_for(tmp_path, "killed")
    command = arguments(data, "--save-minutes", "0", epochs=8)
    for process in start_all(2, command, whole):
        process.join()
    leader, other = start_all(2, command, folder)
    wait_for_checkpoint(folder, leader.is_alive)
    other.kill()
    leader.join()
    assert leader.exitcode == 1, said(folder)
    assert "error: another process of this training has died" in said(folder) and "Traceback" not in said(folder)
    for process in start_all(2, command, folder):
        process.join()
    assert "resuming from" in said(folder)
    assert content(folder / "out") == content(whole / "out")


def test_a_full_disk_is_reported_only_by_the_leading_process(small_disk: Path, tmp_path: Path, data: Path) -> None:
    folder = folder_for(tmp_path, "out")
    command = arguments(data, "--save-minutes", "60", epochs=1)
    command[command.index("--work") + 1] = str(small_disk / "work")
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    leader, other = start_all(2, command, folder)
    leader.join()
    other.join()
    assert leader.exitcode == 1, said(folder)
    errors = [line for line in said(folder).splitlines() if "TensorBoard" not in line and "resnet" not in line]
    assert [line for line in errors if "error" in line.lower()] == [errors[-1]], said(folder)
    assert "error: the disk is full while writing" in errors[-1] and "Traceback" not in said(folder)


@pytest.mark.slow
def test_a_killed_leader_leaves_no_process_behind(tmp_path: Path, data: Path) -> None:
    shutil.copy(OWN_ENCODERS, tmp_path)
    command = arguments(data, "--save-minutes", "0", "--processes", "2", epochs=10000)
    with (tmp_path / "said.txt").open("w") as stream:
        leader = subprocess.Popen(
            [sys.executable, "-m", "simclr_steps", *command],
            cwd=tmp_path,
            stderr=stream,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        )
    wait_for_checkpoint(tmp_path, lambda: leader.poll() is None)
    children = [int(pid) for pid in Path(f"/proc/{leader.pid}/task/{leader.pid}/children").read_text().split()]
    assert len(children) == 1
    os.kill(children[0], signal.SIGSTOP)  # so that it cannot find out by itself
    leader.kill()
    leader.wait()
    deadline = time.monotonic() + 5
    while any(is_running(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = [pid for pid in children if is_running(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def is_running(pid: int) -> bool:
    """Return whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
