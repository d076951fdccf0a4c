"""Run the real workflow as a user does."""

from __future__ import annotations

import subprocess
from pathlib import Path

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
