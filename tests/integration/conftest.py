"""Run the real workflow as a user does."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def snakemake(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in `folder` with the workstation profile, without GPUs, and return what it said."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "workflow/Snakefile")]
    profile = ["--profile", str(REPOSITORY / "workflow/profiles/workstation"), "--directory", str(folder)]
    result = subprocess.run(
        [*command, *profile, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert not check or result.returncode == 0, result.stdout + result.stderr
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
            snakemake(making, "--quiet", "host", "rules", *CUT)
            making.rename(shared / "demo")
    return shared / "demo"
