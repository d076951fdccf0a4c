"""The workflows of GitHub are valid, may only read, and run commands that are there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def jobs(workflow: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    found: dict[str, Any] = content["jobs"]
    return found


def commands(workflow: Path) -> str:
    return "\n".join(step.get("run", "") for job in jobs(workflow).values() for step in job["steps"])


def test_workflows_follow_the_schema() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*check, *map(str, WORKFLOWS)], capture_output=True, text=True, check=False)
    assert WORKFLOWS and done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.name)
def test_workflows_may_only_read(workflow: Path) -> None:
    assert yaml.safe_load(workflow.read_text(encoding="utf-8"))["permissions"] == {"contents": "read"}
    assert not [name for name, job in jobs(workflow).items() if "permissions" in job]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.name)
def test_workflows_run_what_is_there(workflow: Path) -> None:
    run = commands(workflow)
    targets = re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    asked = re.findall(r"\bmake (\S+)", run)
    assert asked and set(asked) <= set(targets)
    scripts = re.findall(r"(?:containers|tests)/\S+", run)
    assert [script for script in scripts if not (ROOT / script).exists()] == []


def test_a_deployed_copy_is_tested() -> None:
    [(file, word)] = re.findall(r"pytest (\S+) -k (\S+)", "\n".join(map(commands, WORKFLOWS)))
    assert re.search(rf"^def test_\w*{word}\w*git_tag", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_oldest_python_that_is_promised_is_tested() -> None:
    promised = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    tested = [
        job["strategy"]["matrix"]["python"] for file in WORKFLOWS for job in jobs(file).values() if "strategy" in job
    ]
    assert tested == [["3.11", "3.12", "3.13", "3.14"]]
    assert promised == f">={tested[0][0]}"
