"""The workflow on a real SLURM cluster: two virtual nodes on this machine, no accounting, stand-ins for GPUs."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from simclr_steps.files import read_json
from tests.image import IMAGE, needs_image
from tests.integration.conftest import snakemake
from tests.integration.slurm import NODES, Cluster, skip_without_slurm, wait_until
from tests.layout import assert_results
from tests.unit.steps import content, run, weights

pytestmark = pytest.mark.cluster

REPOSITORY = Path(__file__).parents[2]
PROFILE = yaml.safe_load((REPOSITORY / "workflow/profiles/slurm/config.yaml").read_text())
SLOW_ENCODER = Path(__file__).with_name("slow_encoder.py")
GPU_RULES = ("pretrain", "select", "evaluate", "finetune", "predict_features", "predict_classifier")
PRETRAIN = {
    "encoder": "slow_encoder:slow_encoder",
    "epochs": 100,  # of 6 steps each
    "global_batch_size": 32,
    "monitor_epochs": 0,
    "projection_head": {"hidden_size": 16, "output_size": 8},
}


class Place(NamedTuple):
    """Where a step was computed."""

    process: str
    node: str
    gpus: str  # CUDA_VISIBLE_DEVICES


class Project:
    """A folder with a config, run by Snakemake on the cluster with the SLURM profile, but on no GPU."""

    def __init__(
        self, folder: Path, cluster: Cluster, config: dict[str, Any], pretrain: dict[str, Any] | None = None
    ) -> None:
        self.folder, self.cluster = folder, cluster
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        profile = profile_without_gpus()
        profile["set-resources"]["pretrain"] |= pretrain or {}
        (folder / "profile").mkdir()
        (folder / "profile/config.yaml").write_text(yaml.safe_dump(profile))
        shutil.copy(SLOW_ENCODER, folder)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake; what it says goes to said.txt."""
        files = {"configfile": self.folder / "config.yaml", "profile": self.folder / "profile"}
        files |= {"snakefile": REPOSITORY / "workflow/Snakefile"}
        options = [text for name, file in files.items() for text in (f"--{name}", str(file))]
        environment = {**self.cluster.environment, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        with (self.folder / "said.txt").open("w") as stream:
            self._process = subprocess.Popen(
                # who started the tests in the background has them, and what they start, ignore a Ctrl-C
                ["env", "--default-signal=INT", sys.executable, "-m", "snakemake", "--nocolor", *options, *arguments],
                cwd=self.folder,
                stdout=stream,
                stderr=stream,
                text=True,
                env=environment,
            )
        return self._process

    def run(self, *arguments: str) -> None:
        """Run Snakemake to its good end."""
        assert self.start(*arguments).wait() == 0, self.said()

    def said(self) -> str:
        """Return what the Snakemake that was started last has said so far."""
        return (self.folder / "said.txt").read_text()

    def jobs(self, rule: str) -> list[str]:
        """Return the numbers of the jobs that it submitted for a rule."""
        return re.findall(rf"SLURM jobid (\d+) \(log: \S*/rule_{rule}/", self.said())

    def job(self, seed: int) -> str:
        """Return the number of a pretraining's newest job."""
        return self.jobs(f"pretrain/digits_simclr_{seed}")[-1]

    def log(self, seed: int) -> str:
        """Return what a pretraining has said, nothing if it has not started."""
        log = self.folder / f"logs/digits/simclr/seed{seed}/pretrain.log"
        return log.read_text() if log.exists() else ""

    def pretrained(self, seed: int) -> Path:
        """Return the folder that a pretraining makes."""
        return self.folder / f"results/digits/simclr/seed{seed}/pretrain"

    def made(self, seed: int) -> dict[str, Any]:
        """Return all that a pretraining wrote, but for the clock and the machine, and for Snakemake's own mark."""
        return {
            name: what for name, what in content(self.pretrained(seed)).items() if not name.startswith(".snakemake")
        }

    def slow(self, *seeds: int) -> None:
        """Have the training of these seeds take its time."""
        for seed in seeds:
            (self.folder / f"slow{seed}").touch()

    def hurry(self, *seeds: int) -> None:
        """Let it end soon."""
        for seed in seeds:
            (self.folder / f"slow{seed}").unlink()

    def steps(self, seed: int) -> list[Place]:
        """Return where each step was computed so far."""
        file = self.folder / f"steps{seed}"
        return [Place(*line.split(" ")) for line in file.read_text().splitlines()] if file.exists() else []

    def places(self, seed: int) -> list[Place]:
        """Return where each stretch of steps was computed."""
        return [place for place, _ in groupby(self.steps(seed))]

    def place(self, seed: int) -> Place:
        """Return where the last step was computed."""
        return self.steps(seed)[-1]

    def wait_for_steps(self, *seeds: int) -> None:
        """Wait until a process that is unknown yet has computed some steps of each seed."""
        known = {seed: set(self.places(seed)) for seed in seeds}

        def all_have() -> bool:
            assert self._process.poll() is None, self.said()
            return all(len([step for step in self.steps(seed) if step not in known[seed]]) > 2 for seed in seeds)

        wait_until(all_have, 300, f"new steps of the seeds {seeds}: {self.said()}")

    def undisturbed(self, seed: int, folder: Path) -> dict[str, Any]:
        """Return what the same pretraining makes that nothing and nobody interrupts, outside SLURM."""
        folder.mkdir()
        shutil.copy(SLOW_ENCODER, folder)
        settings = json.dumps(read_json(self.pretrained(seed) / "run.json")["settings"])
        places = ["--data", str(self.folder / "resources/digits"), "--out", "out", "--work", "work"]
        run(["pretrain", "--settings", settings, *places, "--seed", str(seed), "--gpus", "0"], folder)
        return content(folder / "out")


def profile_without_gpus() -> dict[str, Any]:
    """Return the SLURM profile, quicker to look at its jobs, and with GPUs that are reserved, but not computed on."""
    profile = yaml.safe_load(yaml.safe_dump(PROFILE))
    del profile["software-deployment-method"], profile["apptainer-args"]
    for rule in GPU_RULES:
        profile["set-resources"][rule] |= {"gpu": 0, "gres": "gpu:1"}
    return {**profile, "slurm-init-seconds-before-status-checks": 5, "latency-wait": 5, "retries": 10}


def config(seeds: list[int], **changes: Any) -> dict[str, Any]:
    return {
        "datasets": {"digits": {"source": "digits", "subset": 200}},
        "pretrains": {"simclr": {**PRETRAIN, **changes}},
        "experiments": [{"dataset": "digits", "pretrain": "simclr", "finetunes": [], "seeds": seeds}],
    }


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    skip_without_slurm()
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the data are prepared."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "config.yaml").write_text(yaml.safe_dump(config([0])))
    shutil.copy(SLOW_ENCODER, folder)
    snakemake(folder, "--configfile", str(folder / "config.yaml"), "--", "prepare_all")
    return folder


@pytest.fixture
def start_from(cluster: Cluster, prepared: Path, tmp_path: Path) -> Callable[..., Project]:
    """Return a function that makes a project with prepared data."""

    def start(content: dict[str, Any], **pretrain: Any) -> Project:
        folder = shutil.copytree(prepared, tmp_path / "project")
        return Project(folder, cluster, content, pretrain)

    return start


StartFrom = Callable[..., Project]


def test_a_training_goes_on_after_its_time_limit_a_requeue_a_preemption_and_the_loss_of_its_node(
    start_from: StartFrom, cluster: Cluster, tmp_path: Path
) -> None:
    limited, *others = seeds = [0, 1, 2, 3]
    project = start_from(config(seeds), runtime=1, slurm_partition="idle")
    project.slow(*seeds)
    process = project.start("pretrain_all")
    project.wait_for_steps(*seeds)
    first = project.job(limited)
    assert_gpus_are_not_shared([project.place(seed) for seed in seeds])

    stays = project.place(limited).node
    leaves = next(node for node in NODES if node != stays)
    cluster.ask("sbatch", "-p", "main", "-w", leaves, "--exclusive", "-o", "/dev/null", "--wrap", "sleep 2")
    project.wait_for_steps(*(seed for seed in others if project.place(seed).node == leaves))
    requeued = next((seed for seed in others if project.place(seed).node == leaves), others[0])
    cluster.ask("scontrol", "requeue", project.job(requeued))
    project.wait_for_steps(requeued)
    orphaned = [seed for seed in others if project.place(seed).node == leaves]
    assert orphaned
    cluster.cut_off(leaves)
    project.wait_for_steps(*orphaned)
    cluster.start_node(leaves)

    project.hurry(*others)
    wait_until(lambda: project.job(limited) != first, 300, "the limited job is submitted again")
    project.hurry(limited)
    assert process.wait() == 0, project.said()
    assert f"SLURM-job '{first}' failed, SLURM status is: 'FAILED'" in project.said()
    for seed in seeds:
        assert "going on from" in project.log(seed)
        places = project.places(seed)
        assert len(places) == len({place.process for place in places}) > 1  # in turn, never together
        assert project.made(seed) == project.undisturbed(seed, tmp_path / f"alone{seed}")
    assert all({place.node for place in project.places(seed)} == set(NODES) for seed in orphaned)


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
    cluster.ask("scancel", project.job(0))
    assert process.wait() == 1
    assert f"SLURM-job '{project.job(0)}' failed, SLURM status is: 'CANCELLED'" in project.said()
    assert "stopped (SIGTERM), saved at step" in project.said()  # the log is shown

    process = project.start("pretrain_all")
    project.wait_for_steps(0)
    assert "going on from" in project.log(0)
    process.send_signal(signal.SIGINT)
    wait_until(lambda: not cluster.jobs(), 10, "the queue is empty")
    process.wait()

    process = project.start("pretrain_all")
    project.wait_for_steps(0)
    process.kill()
    process.wait()
    assert project.start("pretrain_all").wait() == 1
    assert "Directory cannot be locked" in project.said()
    project.run("--unlock")
    process = project.start("pretrain_all")
    wait_until(lambda: "waiting for the process that trains in" in project.log(0), 300, "the second job waits")
    project.hurry(0)
    assert process.wait() == 0, project.said()
    assert "was made by the process that was waited for" in project.log(0)

    places = project.places(0)
    assert len(places) == len({place.process for place in places}) == 3
    assert project.made(0) == project.undisturbed(0, tmp_path / "alone")


def test_twelve_runs_train_at_once_on_inputs_that_are_made_once(cluster: Cluster, tmp_path: Path) -> None:
    seeds = list(range(12))
    (tmp_path / "project").mkdir()
    project = Project(tmp_path / "project", cluster, config(seeds, epochs=10), {"gres": ""})
    project.slow(*seeds)
    process = project.start("pretrain_all")
    project.wait_for_steps(*seeds)
    assert {project.place(seed).node for seed in seeds} == set(NODES)
    project.hurry(*seeds)
    assert process.wait() == 0, project.said()
    assert all(len(project.places(seed)) == 1 for seed in seeds)
    assert [len(project.jobs(rule)) for rule in ("prepare", "pretrain")] == [1, 12]
    assert project.said().count("localrule download:") == 1  # where Snakemake runs, as nodes often have no network


@needs_image
def test_the_demo_cut_short_runs_on_two_nodes_and_in_the_container(cluster: Cluster, tmp_path: Path) -> None:
    demo = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    demo["container"] = str(IMAGE)
    demo["datasets"]["digits"]["subset"] = 200
    demo["pretrains"]["simclr"] |= {"epochs": 1, "global_batch_size": 32}
    for finetune in demo["finetunes"].values():
        finetune |= {"labels": 20, "epochs": 1, "draws": 1}
    demo |= {"evaluation": {"labels": [20], "draws": 1}, "umap": {"n_neighbors": 5}}
    (tmp_path / "project").mkdir()
    project = Project(tmp_path / "project", cluster, demo)
    project.run("--software-deployment-method", "apptainer", "--apptainer-args=--nv", "--", "all")

    assert_results(project.folder / "results/digits/simclr/seed0", list(demo["finetunes"]))
    jobs = [cluster.ask("scontrol", "show", "job", job) for job in project.jobs(r"\w+")]
    assert len(jobs) >= 12
    assert all(any(f" NodeList={node}\n" in job for job in jobs) for node in NODES)
    records = [read_json(file) for file in (project.folder / "results").rglob("*.json")]
    images = [record.get("run", record)["image"] for record in records if "image" in record.get("run", record)]
    assert len(images) >= 9 and all(image["file"] == str(IMAGE.resolve()) for image in images)


def test_the_profile_asks_for_one_gpu_where_one_computes_and_a_node_without_says_so(
    start_from: StartFrom, cluster: Cluster
) -> None:
    assert {rule for rule, asked in PROFILE["set-resources"].items() if asked.get("gpu") == 1} == set(GPU_RULES)
    project = start_from(config([0]), gpu=1, gres="")
    assert project.start("--retries", "0", "--", "pretrain_all").wait() == 1
    assert "TresPerJob=gres:gpu:1" in cluster.ask("scontrol", "show", "job", project.job(0))
    assert "error: --gpus 1 asks for more GPUs than the 0 that there are" in project.said()


def test_two_nodes_train_together_as_one_process_does(start_from: StartFrom, tmp_path: Path) -> None:
    project = start_from(config([0], epochs=5), nodes=2, tasks=2, tasks_per_gpu=0, mpi="srun", processes=2)
    project.run("pretrain_all")
    steps = project.steps(0)
    assert {step.node for step in steps} == set(NODES) and len(steps) == 2 * 5 * 6
    project.undisturbed(0, tmp_path / "alone")
    together, alone = (weights(folder / "last.ckpt") for folder in (project.pretrained(0), tmp_path / "alone/out"))
    for name, weight in alone.items():
        assert together[name].numpy() == pytest.approx(weight.numpy(), rel=1e-4, abs=1e-6), name
