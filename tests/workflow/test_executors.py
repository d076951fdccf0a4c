"""The rules know no scheduler: another one takes a profile and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from .conftest import ROOT, Project

# It runs a job where it stands, as a cluster with one idle node would, and notes what was asked for.
QSUB = """#!/bin/bash
echo "${@:1:$#-1}" >>asked
bash "${@: -1}" >&2 && echo 1.server
"""


def documented_profile() -> dict[str, Any]:
    """Return the SLURM profile changed as docs/cluster.md tells, but with no container."""
    profile = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())
    text = (ROOT / "docs/cluster.md").read_text().partition("## Another scheduler")[2]
    told = yaml.safe_load(text.partition("```yaml")[2].partition("```")[0])
    kept = {key: value for key, value in profile.items() if not key.startswith(("slurm", "software", "apptainer"))}
    return {**kept, **told}


def test_documented_profile_of_another_scheduler_runs_the_same_rules(fresh: Project, tmp_path: Path) -> None:
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile/config.yaml").write_text(yaml.safe_dump(documented_profile()))
    (tmp_path / "qsub").write_text(QSUB)
    (tmp_path / "qsub").chmod(0o755)
    options = ("--profile", str(tmp_path / "profile"))
    assert fresh.plan(*options) == fresh.plan() != set()

    done = fresh.snakemake(*options, "prepare_all", PATH=f"{tmp_path}:/usr/local/bin:/usr/bin:/bin")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Submitted job" in done.stderr + done.stdout
    asked = (fresh.folder / "asked").read_text().splitlines()
    assert asked == ["-V -l select=1:ncpus=16:mem=16000mb:ngpus=0 -l walltime=14400"]
    assert (fresh.folder / "resources/digits/dataset.json").exists()
