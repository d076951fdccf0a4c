"""Several nodes train, wait and leave as one, and a local step ends with the process that it was started by."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from simclr_steps.machine.processes import STARTER, as_starter
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from tests.forked import SERVER
from tests.unit.step_processes import said, start
from tests.unit.stoppable_trainings import arguments

SETTINGS = PretrainSettings(
    encoder="own_encoders:without_batch_norm",
    epochs=8,  # of 5 steps each
    global_batch_size=40,
    projection_head=ProjectionHead(hidden_size=16, output_size=8),
)


@pytest.mark.parametrize("killed", [True, False])
def test_all_nodes_go_on_or_leave_when_the_training_that_they_waited_for_has_ended(
    tmp_path: Path, write_packed: Callable[..., Path], killed: bool
) -> None:
    places = ["--data", str(write_packed()), "--out", "out", "--work", "work", "--seed", "0", "--gpus", "0"]
    command = ["pretrain", "--settings", SETTINGS.model_dump_json(), *places]
    orphan = start([*command, "--save-minutes", "0"], tmp_path)
    wait_for(lambda: list(tmp_path.glob("work/*/training.ckpt")), orphan.is_alive)
    assert orphan.pid
    os.kill(orphan.pid, signal.SIGSTOP)

    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1"}
    several = [*command, "--nodes", "2", "--processes", "2"]
    nodes = [start(several, tmp_path, SLURM_NODEID=str(node), **job) for node in range(2)]
    wait_for(lambda: "waiting for the process that writes " in said(tmp_path), nodes[0].is_alive)
    os.kill(orphan.pid, signal.SIGKILL if killed else signal.SIGCONT)
    for process in (orphan, *nodes):
        process.join(300)
        process.kill()
    assert [process.exitcode for process in nodes] == [0, 0], said(tmp_path)
    assert ("resuming from" in said(tmp_path)) == killed
    assert ("nothing to train: the finished training was restored from" in said(tmp_path)) == (not killed)
    assert (tmp_path / "out/last.ckpt").exists()


RANKS = {"NODE_RANK": "1", "GROUP_RANK": "1", "LOCAL_RANK": "3", "MASTER_ADDR": "192.0.2.1", "MASTER_PORT": "1"}
FORGET = """
import os, sys
from simclr_steps.machine.processes import forget_foreign_ranks, leads
if sys.argv[2] == "ours":
    os.environ["SIMCLR_LEADER"] = str(os.getppid())
forget_foreign_ranks(int(sys.argv[1]))
print(*sorted(os.environ.keys() & set(sys.argv[3:])), leads())
"""


@pytest.mark.parametrize(
    ("nodes", "whose", "kept"),
    [
        ("1", "foreign", "True"),
        ("2", "foreign", "GROUP_RANK MASTER_ADDR MASTER_PORT NODE_RANK False"),
        ("1", "ours", "GROUP_RANK LOCAL_RANK MASTER_ADDR MASTER_PORT NODE_RANK False"),
    ],
)
def test_ranks_count_in_processes_that_a_step_started_or_on_several_nodes(nodes: str, whose: str, kept: str) -> None:
    command = [sys.executable, "-c", FORGET, nodes, whose, *RANKS]
    environment = {**os.environ, **RANKS, "PYTHONPATH": str(Path(__file__).parents[3])}
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip() == kept


def test_ranks_left_by_a_launcher_neither_block_nor_silence_a_training(
    tmp_path: Path, write_packed: Callable[..., Path]
) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 1}).model_dump_json()
    places = ["--data", str(write_packed()), "--out", "out", "--work", "work", "--seed", "0", "--gpus", "0"]
    process = start(["pretrain", "--settings", settings, *places], tmp_path, NODE_RANK="1", MASTER_ADDR="192.0.2.1")
    process.join(240)
    process.kill()
    assert process.exitcode == 0
    assert "done: loss" in said(tmp_path)


def wait_for(is_so: Callable[[], object], goes_on: Callable[[], bool]) -> None:
    while not is_so():
        assert goes_on()
        time.sleep(0.01)


@pytest.mark.parametrize("dead_before", [True, False])
def test_a_step_saves_and_ends_with_the_process_that_it_was_told_to_end_with(
    tmp_path: Path, data: Path, dead_before: bool
) -> None:
    starter = SERVER.Process(target=time.sleep, args=(600,))
    starter.start()
    named = as_starter().replace(str(os.getpid()), str(starter.pid))
    if dead_before:
        starter.kill()
        starter.join()
    step = start(arguments("pretrain", data, "--save-minutes", "0", epochs=10_000), tmp_path, **{STARTER: named})
    if not dead_before:
        wait_for(lambda: list(tmp_path.glob("work/*/training.ckpt")), step.is_alive)
        starter.kill()
    step.join(60)
    assert step.exitcode == 128 + signal.SIGTERM
    assert ("saved at step" in said(tmp_path)) == (not dead_before)
    starter.join()


def test_a_step_on_another_machine_or_of_nobody_goes_on(tmp_path: Path, data: Path) -> None:
    for name in (f"{2**22}@another-boot", ""):
        step = start(arguments("pretrain", data, epochs=1), tmp_path, **{STARTER: name})
        step.join()
        assert step.exitcode == 0, said(tmp_path)
