"""Whatever ends a training on the cluster, it goes on, and the result is that of an undisturbed one."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.integration.cluster.project import Place, StartFrom, config
from tests.integration.cluster.slurm import NODES, STOP_SECONDS, Cluster, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


def test_a_training_goes_on_after_its_time_budget_a_time_limit_a_requeue_a_preemption_and_the_loss_of_its_node(
    start_from: StartFrom, cluster: Cluster, tmp_path: Path
) -> None:
    budgeted, *others = seeds = [0, 1, 2]
    project = start_from(
        config(seeds),
        contained=False,
        runtime="1 if wildcards.seed == '0' else 1440",
        slurm_partition="'main' if wildcards.seed == '0' else 'idle'",
    )
    project.slow(*seeds)
    process = project.start("pretrain_all")
    project.wait_for_steps(*seeds)
    first = project.job(budgeted)
    assert {project.job(seed) for seed in others} <= set(cluster.jobs("RUNNING"))
    assert {project.place(seed).node for seed in seeds} == set(NODES)
    assert_gpus_are_not_shared([project.place(seed) for seed in seeds])

    leaves = project.place(others[0]).node
    preempted = [seed for seed in others if project.place(seed).node == leaves]
    cluster.ask("sbatch", "--wait", "-p", "main", "-w", leaves, "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1")
    project.wait_for_steps(*preempted)

    requeued, limited = others
    cluster.ask("scontrol", "requeue", project.job(requeued))
    cluster.ask("scontrol", "update", f"jobid={project.job(limited)}", "TimeLimit=1")
    project.wait_for_steps(requeued, limited)
    assert f"SLURM-job '{project.jobs_of(limited)[0]}' failed, SLURM status is: 'TIMEOUT'" in project.said()

    lost = project.place(others[0]).node
    orphaned = [seed for seed in others if project.place(seed).node == lost]
    cluster.cut_off(lost)
    project.wait_for_steps(*orphaned)
    assert all(project.place(seed).node != lost for seed in orphaned)
    cluster.start_node(lost)

    project.wait_until(lambda: project.job(budgeted) != first, "the budgeted job is submitted again")
    project.hurry(*seeds)
    assert process.wait() == 0, project.said()
    assert f"SLURM-job '{first}' failed, SLURM status is: 'FAILED'" in project.said()
    for seed in seeds:
        assert "resuming from" in project.log(seed)
        places = project.places(seed)
        assert len(places) == len({place.process for place in places}) > 1  # in turn, never together
        assert project.made(seed) == project.undisturbed(seed, tmp_path / f"alone{seed}")


def assert_gpus_are_not_shared(places: list[Place]) -> None:
    assert all(place.gpus.isdigit() for place in places)
    assert len({(place.node, place.gpus) for place in places}) == len(places)


def test_a_training_goes_on_after_a_cancellation_an_interrupt_and_the_death_of_snakemake(
    start_from: StartFrom, cluster: Cluster, tmp_path: Path
) -> None:
    project = start_from(config([0]))
    project.slow(0)

    process = project.start("--retries", "0", "--", "pretrain_all")
    project.wait_for_steps(0)
    run_id = re.findall("SLURM run ID: (.*)", project.said())[0]
    cluster.ask("scancel", "--name", run_id)
    assert process.wait() == 1
    assert f"SLURM-job '{project.job(0)}' failed, SLURM status is: 'CANCELLED'" in project.said()
    assert "stopped (SIGTERM), saved at step" in project.said()  # the log is shown

    process = project.start("pretrain_all", ask_every=30)  # while it asks, a Ctrl-C misses its jobs
    project.wait_for_steps(0)
    assert "resuming from" in project.log(0)
    process.send_signal(signal.SIGINT)
    wait_until(lambda: not cluster.jobs(), STOP_SECONDS, "the queue is empty", project.said)
    process.wait()

    process = project.start("pretrain_all")
    project.wait_for_steps(0)
    process.kill()
    process.wait()
    assert project.start("pretrain_all").wait() == 1
    assert "Directory cannot be locked" in project.said()
    project.run("--unlock")
    process = project.start("pretrain_all")
    project.wait_until(lambda: "waiting for the process that writes" in project.log(0), "the second job waits")
    project.hurry(0)
    assert process.wait() == 0, project.said()
    assert "nothing to train: the finished training was restored from work" in project.log(0)

    places = project.places(0)
    assert len(places) == len({place.process for place in places}) == 3
    assert project.made(0) == project.undisturbed(0, tmp_path / "alone")
