"""The workflow as the Workflow Catalog says how to get it: deployed by snakedeploy from a git tag."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import ROOT, Planned, Project, publish

CATALOG = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))["usage"]
FLAGS = shlex.split(CATALOG["mandatory-flags"]["flags"])
WARNING = "warning: without --rerun-triggers mtime params input, a step may run again"


@dataclass(frozen=True)
class Deployed:
    """A deployed copy: a Snakefile that names the tag, and the config."""

    project: Project
    environment: dict[str, str]

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.project.forked_snakemake("--cores", "2", *arguments, warm=False, **self.environment)

    def plan(self) -> Planned:
        return self.project.plan(*FLAGS, **self.environment)


@pytest.fixture
def deployed(tmp_path: Path) -> Deployed:
    """Deploy the workflow as the catalog's page tells, with the tests' small config."""
    repository = tmp_path / "repository"
    repository.mkdir()
    for name in ("workflow", "simclr_steps", "config"):
        shutil.copytree(ROOT / name, repository / name, ignore=shutil.ignore_patterns("__pycache__"))
    environment = publish(repository, tmp_path)
    programs = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    copy = tmp_path / "copy"
    subprocess.run(
        ["snakedeploy", "deploy-workflow", "https://github.com/owner/simclr-workflow", copy, "--tag", "v1.2.3"],
        check=True,
        env={**os.environ, **environment, **programs},
    )
    assert {file.name for file in copy.iterdir()} == {"workflow", "config"}
    assert [file.name for file in (copy / "workflow").iterdir()] == ["Snakefile"]
    shutil.copy(ROOT / "tests/own_encoders.py", copy / "mine.py")
    project = Project(copy)
    project.write_config()
    return Deployed(project, environment)


@pytest.mark.slow
def test_catalogs_flags_are_all_that_is_needed(deployed: Deployed) -> None:
    planned = deployed.snakemake("--dry-run", *FLAGS)
    assert planned.returncode == 0, planned.stderr
    assert "warning" not in planned.stderr.lower()
    done = deployed.snakemake("prepare_all", *FLAGS)
    assert done.returncode == 0, done.stderr
    assert (deployed.project.folder / "resources/digits/dataset.json").exists()


OTHERS = ("--rerun-triggers", "mtime")
THESE = ("--rerun-triggers", "input", "params", "mtime")


@pytest.mark.slow
def test_other_rerun_triggers_are_warned_of(deployed: Deployed) -> None:
    for flags, warnings in (((), 1), (OTHERS, 1), (THESE, 0)):
        planned = deployed.snakemake("--dry-run", *flags)
        assert planned.returncode == 0, planned.stderr
        assert (planned.stdout + planned.stderr).count(WARNING) == warnings, flags


@pytest.mark.slow
@pytest.mark.timeout(1800)  # each job's Snakemake reads the tag anew
def test_deployed_copy_runs_to_its_end_and_nothing_a_second_time(deployed: Deployed) -> None:
    done = deployed.project.forked_snakemake("--cores", "2", *FLAGS, warm=True, **deployed.environment)
    assert done.returncode == 0, done.stderr
    assert (deployed.project.folder / "results/summary.html").exists()
    assert deployed.plan() == set()


def test_planning_imports_nothing_but_what_snakemake_brings() -> None:
    rules = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "workflow/rules").glob("*.smk"))
    imports = re.findall(r"^from simclr_steps.*$", rules, re.MULTILINE)
    assert len(imports) > 5
    absent = ["torch", "torchvision", "lightning", "numpy", "pandas", "pyarrow", "sklearn", "scipy", "umap"]
    absent += ["PIL", "tifffile", "imagecodecs"]
    code = [f"import sys; sys.modules.update(dict.fromkeys({absent}))", *imports]
    subprocess.run([sys.executable, "-c", "\n".join(code)], check=True, cwd=ROOT)


def test_every_step_has_the_environment_for_conda() -> None:
    rules = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "workflow/rules").glob("*.smk"))
    steps = [rule for rule in re.split(r"^rule ", rules, flags=re.MULTILINE) if "\n    shell:\n" in rule]
    assert len(steps) > 10
    assert [rule.splitlines()[0] for rule in steps if '\n    conda:\n        "../envs/simclr.yaml"\n' not in rule] == []


@pytest.mark.slow
def test_steps_run_with_the_python_of_the_environment_for_conda(fresh: Project, tmp_path: Path) -> None:
    """Answers what Snakemake asks of conda before a dry run, so that none need be installed."""
    conda = tmp_path / "conda"
    conda.write_text(
        "#!/bin/sh\n"
        'case "$1" in\n'
        f'info) echo \'{{"conda_prefix": "{tmp_path}", "platform": "linux-64"}}\' ;;\n'
        "--version) echo 'conda 25.1.0' ;;\n"
        'config) echo \'{"get": {"channel_priority": "strict"}}\' ;;\n'
        "esac\n"
    )
    conda.chmod(0o755)
    options = ["--dry-run", "--cores", "2", "--printshellcmds", "--software-deployment-method", "conda"]
    planned = fresh.forked_snakemake(*options, PATH=os.pathsep.join([os.environ["PATH"], str(tmp_path)]))
    assert planned.returncode == 0, planned.stderr
    pythons = re.findall(r"(\S+) -m simclr_steps", planned.stdout + planned.stderr)
    assert len(pythons) > 10 and set(pythons) == {"python"}
