"""The jobs of a run are those that the profile describes, in the container, and on two nodes together where asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from simclr_steps.files import read_json
from tests.image import IMAGE, needs_image
from tests.integration.cluster.project import GPU_RULES, PROFILE, NewProject, StartFrom, config, profile
from tests.integration.cluster.slurm import NODES, Cluster
from tests.integration.conftest import REPOSITORY
from tests.unit.step_processes import weights

# From the images to the classes that a classifier predicts: rules that take a GPU and rules that take none.
RULES = ("prepare", "label", "pretrain", "select", "finetune", "predict_classifier", "gather_predictions")

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


@needs_image
def test_jobs_get_what_the_profile_asks_for_and_run_in_the_container(new_project: NewProject, cluster: Cluster) -> None:
    demo = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    demo["datasets"]["digits"]["subset"] = 200
    demo["pretrains"]["simclr"] |= {"encoder": "slow_encoder:slow_encoder", "epochs": 1, "global_batch_size": 32}
    demo["finetunes"]["pretrained"] |= {"labels": 20, "epochs": 1, "draws": 1}
    project = new_project(demo, profile(threads=PROFILE["set-threads"]))
    project.run("results/digits/simclr/seed0/finetune/pretrained/predictions.parquet")

    assert project.said().count("localrule download:") == 1  # where Snakemake runs, as nodes often have no network
    for rule in RULES:
        (number,) = project.jobs(rule)
        job, asked = cluster.job(number), PROFILE["set-resources"].get(rule, {})
        assert job["NumCPUs"] == job["CPUs/Task"] == str(PROFILE["set-threads"].get(rule, 1)), rule
        assert job.get("TresPerJob") == ("gres:gpu:1" if rule in GPU_RULES else None), rule
        if asked:
            assert megabytes(job["MinMemoryNode"]) == asked["mem_mb"], rule
            assert minutes(job["TimeLimit"]) == asked["runtime"], rule
    for file in ("finetune/pretrained/metrics.json", "pretrain/run.json"):
        record = read_json(project.folder / "results/digits/simclr/seed0" / file)
        assert record.get("run", record)["image"]["file"] == str(IMAGE.resolve())


def test_every_rule_of_the_profile_is_planned_with_what_it_asks_for(new_project: NewProject) -> None:
    demo = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    demo["experiments"][0]["seeds"] = [0, 1]
    project = new_project(demo, profile(threads=PROFILE["set-threads"], contained=False))
    project.run("--dry-run", "--cores", "64", "all")
    planned = re.findall(r"^rule (\w+):", project.said(), re.MULTILINE)
    assert [planned.count(rule) for rule in ("prepare", "label", "pretrain")] == [1, 1, 2]  # the runs share their data
    for rule, asked in PROFILE["set-resources"].items():
        jobs = re.findall(rf"^rule {rule}:\n((?:    .*\n)+)", project.said(), re.MULTILINE)
        assert jobs, rule
        for job in jobs:
            assert f"    threads: {PROFILE['set-threads'][rule]}\n" in job, rule
            assert ("gpu=1," in job) == (rule in GPU_RULES), rule
            assert f"mem_mb={asked['mem_mb']}," in job and f"runtime={asked['runtime']}," in job, rule


def megabytes(memory: str) -> float:
    """Return what SLURM writes as 16000M or 31.25G."""
    return float(memory[:-1]) * {"M": 1, "G": 1024}[memory[-1]]


def minutes(limit: str) -> int:
    """Return what SLURM writes as 1-00:00:00."""
    days, _, clock = limit.rpartition("-")
    hours, rest, _ = map(int, clock.split(":"))
    return (int(days or 0) * 24 + hours) * 60 + rest


def test_a_step_that_asks_for_a_gpu_says_so_where_a_node_has_none(start_from: StartFrom) -> None:
    assert {rule for rule, asked in PROFILE["set-resources"].items() if asked.get("gpu") == 1} == set(GPU_RULES)
    project = start_from(config([0]), contained=False, gpu=1)
    assert project.start("--retries", "0", "--", "pretrain_all").wait() == 1
    assert "error: --gpus 1 exceeds the 0 available GPUs" in project.said()


def test_two_nodes_train_together_as_one_process_does(start_from: StartFrom, tmp_path: Path) -> None:
    resources = {"gpu": 0, "nodes": 2, "tasks": 2, "mpi": "'srun --kill-on-bad-exit'", "processes": 2}
    project = start_from(config([0], epochs=5), contained=False, threads={"pretrain": 2}, **resources)
    project.run("pretrain_all")
    steps = project.steps(0)
    assert {(step.node, step.cores) for step in steps} == {(node, "2") for node in NODES}
    assert len(steps) == 2 * 5 * 6 and len(project.jobs_of(0)) == 1  # what nothing disturbs runs once
    project.undisturbed(0, tmp_path / "alone")
    together, alone = (weights(folder / "last.ckpt") for folder in (project.pretrained(0), tmp_path / "alone/out"))
    for name, weight in alone.items():
        assert together[name].numpy() == pytest.approx(weight.numpy(), rel=1e-4, abs=1e-6), name
