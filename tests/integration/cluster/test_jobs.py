"""The jobs of a run are those that the profile describes, on all nodes, in the container, and together where asked."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from simclr_steps.files import read_json
from tests.image import IMAGE, needs_image
from tests.integration.cluster.project import GPU_RULES, PROFILE, NewProject, StartFrom, config, profile
from tests.integration.cluster.slurm import NODES, Cluster
from tests.integration.conftest import REPOSITORY
from tests.layout import assert_results
from tests.unit.step_processes import weights

RECORDING = {
    *("download", "prepare", "label", "pretrain", "select", "compare", "evaluate", "finetune"),
    *("gather", "umap", "galleries", "explore"),
}

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


def test_six_runs_train_at_once_on_inputs_that_are_made_once(new_project: NewProject, cluster: Cluster) -> None:
    seeds = list(range(6))
    project = new_project(config(seeds), profile(contained=False, gpu=0))
    project.slow(*seeds)
    process = project.start("pretrain_all")
    project.wait_for_steps(*seeds)
    assert len(cluster.jobs("RUNNING")) == 6
    assert {project.place(seed).node for seed in seeds} == set(NODES)
    project.hurry(*seeds)
    assert process.wait() == 0, project.said()
    assert all(len(project.places(seed)) == 1 for seed in seeds)
    assert [len(project.jobs(rule)) for rule in ("prepare", "pretrain")] == [1, 6]
    assert project.said().count("localrule download:") == 1  # where Snakemake runs, as nodes often have no network


@needs_image
def test_the_demo_cut_short_runs_as_the_profile_tells_on_two_nodes_and_in_the_container(
    new_project: NewProject, cluster: Cluster
) -> None:
    demo = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    demo["datasets"]["digits"]["subset"] = 200
    demo["pretrains"]["simclr"] |= {"epochs": 1, "global_batch_size": 32}
    for finetune in demo["finetunes"].values():
        finetune |= {"labels": 20, "epochs": 1, "draws": 1}
    demo |= {"evaluation": {"labels": [20], "draws": 1}, "umap": {"n_neighbors": 5}}
    project = new_project(demo, profile(threads=PROFILE["set-threads"]))
    project.run("all")

    assert_results(project.folder / "results/digits/simclr/seed0", ["pretrained"], shared=["scratch"])
    for rule in PROFILE["set-threads"]:
        asked = PROFILE["set-resources"][rule]
        jobs = [cluster.job(number) for number in project.jobs(rule)]
        assert jobs, rule
        for job in jobs:
            assert job["NumCPUs"] == job["CPUs/Task"] == str(PROFILE["set-threads"][rule]), rule
            assert megabytes(job["MinMemoryNode"]) == asked["mem_mb"], rule
            assert minutes(job["TimeLimit"]) == asked["runtime"], rule
            assert job.get("TresPerJob") == ("gres:gpu:1" if rule in GPU_RULES else None), rule
    nodes = {cluster.job(number)["NodeList"] for number in project.jobs(r"\w+")}
    assert nodes == set(NODES)
    files = (file for folder in ("resources", "results") for file in (project.folder / folder).rglob("*.json"))
    records = [content.get("run", content) for content in map(read_json, files)]
    records = [record for record in records if "image" in record]
    with IMAGE.open("rb") as stream:
        image = {"file": str(IMAGE.resolve()), "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    assert all(record["image"] == image for record in records)
    assert {record["step"] for record in records} >= RECORDING
    assert {path.name for path in (project.folder / "work/cache").iterdir()} >= {"matplotlib", "numba"}


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
    assert len(steps) == 2 * 5 * 6
    project.undisturbed(0, tmp_path / "alone")
    together, alone = (weights(folder / "last.ckpt") for folder in (project.pretrained(0), tmp_path / "alone/out"))
    for name, weight in alone.items():
        assert together[name].numpy() == pytest.approx(weight.numpy(), rel=1e-4, abs=1e-6), name
