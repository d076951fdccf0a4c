"""A project of slow trainings that Snakemake runs on the cluster with the SLURM profile."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from simclr_steps.files import read_json
from tests.image import HAS_IMAGE, IMAGE
from tests.integration.cluster.slurm import Cluster, wait_until
from tests.integration.conftest import REPOSITORY
from tests.unit.step_processes import content, run

PROFILE = yaml.safe_load((REPOSITORY / "workflow/profiles/slurm/config.yaml").read_text())
SLOW_ENCODER = REPOSITORY / "tests/integration/slow_encoder.py"
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
    "epochs": 60,  # of 6 steps each
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
    """Return the config of some slow trainings; `changes` are keys of pretrains.simclr."""
    return {
        "datasets": {"digits": {"source": "digits", "subset": 200}},
        "pretrains": {"simclr": {**PRETRAIN, **changes}},
        "explore": {"splits": []},
        "experiments": [{"dataset": "digits", "pretrain": "simclr", "finetunes": [], "seeds": seeds}],
    }


NewProject = Callable[..., Project]
StartFrom = Callable[..., Project]
