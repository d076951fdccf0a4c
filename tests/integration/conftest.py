"""Run the real workflow as a user does."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.snakemake_runs import run_snakemake

REPOSITORY = Path(__file__).parents[2]


def snakemake(folder: Path, *arguments: str, warm: bool = False) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in `folder` with the workstation profile, without GPUs, and return what it said.

    `warm` has it start warm steps, see tests/warm_steps.py.
    """
    profile = ["--profile", str(REPOSITORY / "workflow/profiles/workstation"), "--directory", str(folder)]
    arguments = ("--snakefile", str(REPOSITORY / "workflow/Snakefile"), *profile, *arguments)
    result = run_snakemake(arguments, folder, {"CUDA_VISIBLE_DEVICES": ""}, warm=warm)
    assert result.returncode == 0, result.stdout + result.stderr
    return result


# The demo's own config, cut to take seconds where it takes minutes.
CUT = (
    "--config",
    "datasets={digits: {subset: 200}}",
    "pretrains={simclr: {epochs: 1}}",
    "finetunes={pretrained: {draws: 1, epochs: 1}, scratch: {draws: 1, epochs: 1}}",
    "evaluation={draws: 1}",
)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which the demo has run, once for all of pytest's processes. Tests only read it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "demo").exists():
            making = tmp_path_factory.mktemp("making")
            shutil.copytree(REPOSITORY / "config", making / "config")
            snakemake(making, "--quiet", "host", "rules", *CUT, warm=True)
            making.rename(shared / "demo")
    return shared / "demo"
