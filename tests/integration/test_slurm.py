"""The workflow on a real SLURM cluster: two virtual nodes on this machine, no accounting, stand-ins for GPUs.

The steps run in the container, as the profile tells, where SIMCLR_TEST_IMAGE names an image.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from simclr_steps.files import read_json
from tests.image import HAS_IMAGE, IMAGE, needs_image
from tests.integration.conftest import snakemake
from tests.integration.slurm import NODES, Cluster, skip_without_slurm, wait_until
from tests.layout import assert_results
from tests.unit.step_processes import content, run, weights

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

REPOSITORY = Path(__file__).parents[2]
PROFILE = yaml.safe_load((REPOSITORY / "workflow/profiles/slurm/config.yaml").read_text())
SLOW_ENCODER = Path(__file__).with_name("slow_encoder.py")
GPU_RULES = ("pretrain", "select", "compare", "evaluate", "finetune", "predict_features", "predict_classifier")
ONE_THREAD = dict.fromkeys(PROFILE["set-threads"], 1)  # OpenMP is told of them, and this machine has few cores
HANG = 600.0  # seconds in which anything happens, however busy the machine

# Snakemake checks its jobs every N seconds, the first argument, instead of less and less often.
SNAKEMAKE = """
import sys
from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

seconds = float(sys.argv.pop(1))
RemoteExecutor.next_seconds_between_status_checks = property(lambda self: seconds, lambda self, value: None)
sys.exit(main())
"""

PRETRAIN = {
    "encoder": "slow_encoder:slow_encoder",
    "epochs": 100,  # of 6 steps each
    "global_batch_size": 32,
    "monitor_epochs": 0,
    "precision": "fp32",  # in which it is the same on one process and on two
    "projection_head": {"hidden_size": 16, "output_size": 8},
}


class Place(NamedTuple):
    """Where a step was computed."""

    process: str
    node: str
    gpus: str  # CUDA_VISIBLE_DEVICES
    cores: str


class Project:
    """A folder with a config, run by Snakemake on the cluster with the SLURM profile."""

    def __init__(self, folder: Path, cluster: Cluster, config: dict[str, Any], profile: dict[str, Any]) -> None:
        self.folder, self.cluster = folder, cluster
        self._process: subprocess.Popen[str] | None = None
        (folder / "config.yaml").write_text(yaml.safe_dump({**config, "container": str(IMAGE)}))
        (folder / "profile").mkdir()
        (folder / "profile/config.yaml").write_text(yaml.safe_dump(profile))
        shutil.copy(SLOW_ENCODER, folder)

    def start(self, *arguments: str, ask_every: int = 2) -> subprocess.Popen[str]:
        """Start Snakemake, which checks its jobs every `ask_every` seconds; its output goes to said.txt."""
        files = {"configfile": self.folder / "config.yaml", "profile": self.folder / "profile"}
        files |= {"snakefile": REPOSITORY / "workflow/Snakefile"}
        options = [text for name, file in files.items() for text in (f"--{name}", str(file))]
        # who started the tests in the background has them, and what they start, ignore a Ctrl-C
        python = ["env", "--default-signal=INT", sys.executable, "-c", SNAKEMAKE, str(ask_every)]
        with (self.folder / "said.txt").open("w") as stream:
            self._process = subprocess.Popen(
                [*python, "--nocolor", *options, *arguments],
                cwd=self.folder,
                stdout=stream,
                stderr=stream,
                text=True,
                env=self.cluster.environment,
            )
        return self._process

    def leave(self) -> None:
        """End Snakemake, if it still runs, and its jobs."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self.cluster.clear()

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
        return self.jobs_of(seed)[-1]

    def jobs_of(self, seed: int) -> list[str]:
        """Return the numbers of a pretraining's jobs."""
        return self.jobs(f"pretrain/digits_simclr_{seed}")

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
        """Wait until a process that is unknown yet has computed a step of each seed."""
        known = {seed: set(self.places(seed)) for seed in seeds}

        def all_have() -> bool:
            self.cluster.hasten()
            return all(set(self.places(seed)) - known[seed] for seed in seeds)

        self.wait_until(all_have, f"new steps of the seeds {seeds}")

    def wait_until(self, is_so: Callable[[], object], what: str) -> None:
        """Wait until something is so, while Snakemake runs."""

        def so_or_ended() -> object:
            assert self._process and self._process.poll() is None, self.said()
            return is_so()

        wait_until(so_or_ended, HANG, what, self.said)

    def undisturbed(self, seed: int, folder: Path) -> dict[str, Any]:
        """Return what the same pretraining makes that nothing and nobody interrupts, outside SLURM."""
        folder.mkdir()
        shutil.copy(SLOW_ENCODER, folder)
        settings = json.dumps(read_json(self.pretrained(seed) / "run.json")["settings"])
        places = ["--data", str(self.folder / "resources/digits"), "--out", "out", "--work", "work"]
        run(["pretrain", "--settings", settings, *places, "--seed", str(seed), "--gpus", "0"], folder)
        return content(folder / "out")


def profile(*, contained: bool = True, threads: Mapping[str, int] = ONE_THREAD, **pretrain: Any) -> dict[str, Any]:
    """Return the SLURM profile, with more retries, and with stand-ins for GPUs: jobs reserve them, steps leave them."""
    profile = yaml.safe_load(yaml.safe_dump(PROFILE))
    for rule in GPU_RULES:
        profile["set-resources"][rule]["gpu"] = "0 if '$SLURM_JOB_ID'.isdigit() else 1"
    profile["set-resources"]["pretrain"] |= pretrain
    profile["set-threads"] = dict(threads)
    if not (contained and HAS_IMAGE):
        del profile["software-deployment-method"], profile["apptainer-args"]
    return {**profile, "latency-wait": 10, "retries": 50, "max-status-checks-per-second": 10}


def config(seeds: list[int], **changes: Any) -> dict[str, Any]:
    return {
        "datasets": {"digits": {"source": "digits", "subset": 200}},
        "pretrains": {"simclr": {**PRETRAIN, **changes}},
        "experiments": [{"dataset": "digits", "pretrain": "simclr", "finetunes": [], "seeds": seeds}],
    }


NewProject = Callable[..., Project]
StartFrom = Callable[..., Project]


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
def new_project(cluster: Cluster, tmp_path: Path) -> Iterator[NewProject]:
    """Return a function that makes a project; when the test has ended, however it did, nothing of it runs on."""
    projects = []

    def new(content: dict[str, Any], profile: dict[str, Any], folder: Path | None = None) -> Project:
        place = tmp_path / "project"
        shutil.copytree(folder, place) if folder else place.mkdir()
        projects.append(Project(place, cluster, content, profile))
        return projects[-1]

    yield new
    for project in projects:
        project.leave()


@pytest.fixture
def start_from(new_project: NewProject, prepared: Path) -> StartFrom:
    """Return a function that makes a project with prepared data, whose pretraining asks for other resources."""

    def start(content: dict[str, Any], **options: Any) -> Project:
        return new_project(content, profile(**options), prepared)

    return start


def test_a_training_goes_on_after_its_time_budget_a_time_limit_a_requeue_a_preemption_and_the_loss_of_its_node(
    start_from: StartFrom, cluster: Cluster, tmp_path: Path
) -> None:
    budgeted, *others = seeds = [0, 1, 2]
    project = start_from(
        config(seeds),
        runtime="1 if wildcards.seed == '0' else 1440",
        slurm_partition="'main' if wildcards.seed == '0' else 'idle'",
    )
    project.slow(*seeds)
    process = project.start("pretrain_all")
    project.wait_for_steps(*seeds)
    first = project.job(budgeted)
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
    wait_until(lambda: not cluster.jobs(), 10, "the queue is empty", project.said)
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


def test_twelve_runs_train_at_once_on_inputs_that_are_made_once(new_project: NewProject, cluster: Cluster) -> None:
    seeds = list(range(12))
    project = new_project(config(seeds), profile(contained=False, gpu=0))
    project.slow(*seeds)
    process = project.start("pretrain_all")
    project.wait_for_steps(*seeds)
    assert len(cluster.jobs("RUNNING")) == 12
    assert {project.place(seed).node for seed in seeds} == set(NODES)
    project.hurry(*seeds)
    assert process.wait() == 0, project.said()
    assert all(len(project.places(seed)) == 1 for seed in seeds)
    assert [len(project.jobs(rule)) for rule in ("prepare", "pretrain")] == [1, 12]
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

    assert_results(project.folder / "results/digits/simclr/seed0", list(demo["finetunes"]))
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
    records = [read_json(file) for file in (project.folder / "results").rglob("*.json")]
    images = [record.get("run", record)["image"] for record in records if "image" in record.get("run", record)]
    assert len(images) >= 9 and all(image["file"] == str(IMAGE.resolve()) for image in images)


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
