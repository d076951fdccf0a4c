"""The rules know no scheduler: another one takes a profile and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflow.conftest import ROOT, Project

# It runs a job where it stands, as a cluster with one idle node would, and notes what was asked for.
QSUB = """#!/bin/bash
echo "${@:1:$#-1}" >>asked
bash "${@: -1}" >&2
echo "    Exit_status = $?" >status
echo 1.server
"""
# Of a job it tells first that it runs.
QSTAT = """#!/bin/bash
echo "Job Id: $2"
[ -e asked_once ] && cat status
touch asked_once
"""
# It starts a job that begins when the file `go` is there, and does not wait for it.
BATCH = """#!/bin/bash
setsid bash -c "until [ -e go ]; do sleep 0.1; done; bash ${@: -1}; touch ended" >job.log 2>&1 </dev/null &
echo $!
"""
# A launcher, as srun is one, on a machine that seems to have two GPUs: the step notes which it took, waits until two
# have, and leaves, as it could not compute there.
TWO_GPUS = """#!{python}
import os, sys, time
from pathlib import Path
import torch
from simclr_steps.machine import options as hardware
from simclr_steps.__main__ import main

def take(count, available, take=hardware.take_gpus):
    take(count, available)
    Path(f"taken{{os.getpid()}}").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
    until = time.monotonic() + 300
    while len(list(Path().glob("taken*"))) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    os._exit(1)

torch.cuda.device_count = lambda: 2
hardware.take_gpus = take
sys.argv = sys.argv[sys.argv.index("simclr_steps"):]
main()
"""


def documented_profile() -> dict[str, Any]:
    """Return the SLURM profile changed as docs/cluster.md tells, but with no container."""
    profile = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.yaml").read_text())
    text = (ROOT / "docs/cluster.md").read_text().partition("## Another scheduler")[2]
    told = yaml.safe_load(text.partition("```yaml")[2].partition("```")[0])
    kept = {
        key: value
        for key, value in profile.items()
        if not key.startswith(("slurm", "max-status", "software", "apptainer"))
    }
    return {**kept, **told}


@pytest.mark.slow
def test_documented_profile_of_another_scheduler_runs_the_same_rules(fresh: Project, tmp_path: Path) -> None:
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile/config.yaml").write_text(yaml.safe_dump(documented_profile()))
    for program, script in {"qsub": QSUB, "qstat": QSTAT}.items():
        (tmp_path / program).write_text(script)
        (tmp_path / program).chmod(0o755)
    options = ("--profile", str(tmp_path / "profile"), "--seconds-between-status-checks", "1")
    assert fresh.plan(*options) == fresh.plan() != set()

    done = fresh.forked_snakemake(*options, "prepare_all", PATH=f"{tmp_path}:/usr/local/bin:/usr/bin:/bin")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Submitted job" in done.stderr + done.stdout
    asked = (fresh.folder / "asked").read_text().splitlines()
    assert asked == [
        "-V -l select=1:ncpus=16:mem=16000mb:ngpus=0 -l walltime=14400",  # prepare
        "-V -l select=1:ncpus=1:mem=8000mb:ngpus=0 -l walltime=3600",  # label
    ]
    assert (fresh.folder / "resources/digits/dataset.json").exists()


@pytest.mark.slow
def test_a_result_that_a_killed_snakemake_did_not_see_is_taken_over_as_documented(fresh: Project) -> None:
    (fresh.folder / "batch").write_text(BATCH)
    (fresh.folder / "batch").chmod(0o755)
    command = [sys.executable, "-m", "snakemake", "--jobs", "1", "--executor", "cluster-generic"]
    snakemake = subprocess.Popen(
        [*command, "--cluster-generic-submit-cmd", "./batch", "prepare_all"],
        cwd=fresh.folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert snakemake.stderr
    next(line for line in snakemake.stderr if line.startswith("Submitted job"))
    snakemake.kill()
    snakemake.communicate()
    (fresh.folder / "go").touch()
    while not (fresh.folder / "ended").exists():
        time.sleep(0.1)

    done = fresh.forked_snakemake("--cores", "1", "--unlock")
    assert done.returncode == 0, done.stderr
    done = fresh.dry_run("--cores", "1", "prepare_all")
    assert "Rules with missing metadata: prepare" in done.stdout + done.stderr
    done = fresh.forked_snakemake("--cores", "1", "--touch", "--forcerun", "prepare", "--until", "prepare")
    assert done.returncode == 0, done.stderr
    assert fresh.plan("prepare_all") == {("label", "digits"), ("prepare_all",)}
    fresh.config["datasets"]["digits"]["subset"] = 100
    fresh.write_config()
    assert ("prepare", "digits") in fresh.plan("prepare_all")


@pytest.mark.slow
def test_steps_that_run_at_once_on_a_workstation_take_different_gpus(fresh: Project, tmp_path: Path) -> None:
    (tmp_path / "launcher").write_text(TWO_GPUS.format(python=sys.executable))
    (tmp_path / "launcher").chmod(0o755)
    fresh.config["experiments"][0]["seeds"] = [0, 1]
    fresh.write_config()
    asked = ["--set-resources", "pretrain:gpu=1", f"pretrain:mpi={tmp_path}/launcher", "--resources", "gpu=2"]
    asked += ["--set-threads", "pretrain=1"]
    profile = ["--profile", "workflow/profiles/workstation", "--cores", "2"]
    nobody_chose = ["env", "--unset=CUDA_VISIBLE_DEVICES"]
    done = fresh.snakemake(*profile, *asked, "--", "pretrain_all", prefix=nobody_chose, TMPDIR=str(tmp_path))
    taken = sorted(file.read_text() for file in fresh.folder.glob("taken*"))
    assert taken == ["0", "1"], done.stdout + done.stderr
