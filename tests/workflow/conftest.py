"""One real run of the whole workflow, which the tests copy, edit and plan again."""

import copy
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.snakemake_runs import run_snakemake

ROOT = Path(__file__).parents[2]

CONFIG: dict[str, Any] = yaml.safe_load((ROOT / ".test/config/config.yaml").read_text(encoding="utf-8"))
CONFIG["pretrains"]["simclr"]["encoder"] = "mine:without_batch_norm"  # which takes a fraction of a ResNet's time

Planned = set[tuple[str, ...]]


class Project:
    """A folder with the workflow, the steps, a config and its encoder, run by real Snakemake processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = copy.deepcopy(CONFIG)

    def write_config(self) -> None:
        (self.folder / "config").mkdir(exist_ok=True)
        (self.folder / "config/config.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False))

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def snakemake(
        self, *arguments: str, prefix: Sequence[str] = (), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*prefix, sys.executable, "-m", "snakemake", "--nocolor", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment},
        )

    def forked_snakemake(
        self, *arguments: str, warm: bool = False, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in a process that has it imported, which is half of a dry run's time."""
        return run_snakemake(
            ("--nocolor", *arguments), self.folder, {"CUDA_VISIBLE_DEVICES": "", **environment}, warm=warm
        )

    def dry_run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.forked_snakemake("--dry-run", *arguments, warm=False, **environment)

    def plan(self, *arguments: str, **environment: str) -> Planned:
        """Return the planned jobs, each a rule's name and its wildcards' values."""
        done = self.dry_run("--cores", "2", *arguments, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        jobs = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", done.stdout + done.stderr, re.MULTILINE)
        wildcards = (re.search(r"^    wildcards: (.*)$", body, re.MULTILINE) for _, body in jobs)
        values = [tuple(re.findall(r"=([^,]*)", found[1])) if found else () for found in wildcards]
        return {(rule, *value) for (rule, _), value in zip(jobs, values, strict=True) if rule != "all"}

    def planned_rules(self, *arguments: str, **environment: str) -> set[str]:
        return {job[0] for job in self.plan(*arguments, **environment)}


def new_project(folder: Path) -> Project:
    """Return a project in which nothing has run."""
    folder.mkdir(exist_ok=True)
    for name in ("workflow", "simclr_steps"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tests/own_encoders.py", folder / "mine.py")
    project = Project(folder)
    project.write_config()
    return project


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A project in which nothing has run."""
    return new_project(tmp_path / "fresh")


def publish(folder: Path, place: Path) -> dict[str, str]:
    """Move a folder below `place` and make it a git repository with the tag v1.2.3.

    Returns the environment in which git finds it as https://github.com/owner/simclr-workflow, and nothing else there.
    """
    served = place / "served/owner/simclr-workflow"
    served.parent.mkdir(parents=True)
    folder.rename(served)
    author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "all"], ["tag", "v1.2.3"]):
        subprocess.run(["git", *command], cwd=served, check=True)
    shutil.rmtree(served / "simclr_steps")  # so that only the tag's files can be read
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{place}/served/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
        "XDG_CACHE_HOME": str(place / "cache"),
    }


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project in which everything has run. Tests only read it; `project` is a copy to edit."""

    def make(folder: Path) -> None:
        done = new_project(folder).forked_snakemake("--cores", "2", warm=True)
        assert done.returncode == 0, done.stdout + done.stderr

    return Project(made_once("finished", make, tmp_path_factory))


def made_once(name: str, make: Callable[[Path], None], factory: pytest.TempPathFactory) -> Path:
    """Return a folder that is made once for all of pytest's processes: one makes it, the others wait."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / name).exists():
            folder = factory.mktemp("making") / "project"
            make(folder)
            folder.rename(shared / name)
    return shared / name


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project."""
    return Project(Path(shutil.copytree(finished.folder, tmp_path / "project", symlinks=True)))


@pytest.fixture
def write_images(tmp_path: Path) -> Callable[[str, str], Path]:
    """Return a function that writes one small gray JPEG into a class's folder."""
    from PIL import Image

    def write(label: str, name: str) -> Path:
        file = tmp_path / "photos" / label / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), 128).save(file)
        return file

    return write
