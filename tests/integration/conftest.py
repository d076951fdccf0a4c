"""Run the real workflow as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
