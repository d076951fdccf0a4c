"""The command `simclr`, as `make` installs it, and what it runs beside the copy that Snakemake makes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def run(*command: str | Path, **environment: str) -> str:
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        cwd=Path(command[0]).parent,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module", params=["editable", "plain"])
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the programs of an environment with the project installed beside this one's packages."""
    folder = tmp_path_factory.mktemp("installed")
    project = folder / "project"
    shutil.copytree(ROOT / "simclr_steps", project / "simclr_steps", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "requirements.lock"):
        shutil.copy(ROOT / name, project)
    venv.create(folder / "venv")
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    python = folder / "venv/bin/python"
    options = ["--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    run(python, "-m", "pip", "install", *options, *(["-e"] if request.param == "editable" else []), str(project))
    return python.parent


@pytest.mark.slow
def test_command_is_the_module(programs: Path) -> None:
    helps = [run(programs / "simclr", "--help"), run(programs / "python", "-m", "simclr_steps", "--help")]
    assert helps[0].startswith("usage: simclr [-h] [--version] STEP")
    assert helps[0].split("The steps of")[1] == helps[1].split("The steps of")[1]
    assert run(programs / "simclr", "--version").startswith("simclr-workflow ")


def test_copy_in_pythonpath_wins_over_what_is_installed(programs: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "simclr_steps", tmp_path / "simclr_steps", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "simclr_steps/__init__.py").write_text('"""Another copy."""\n\n__version__ = "9.9.9"\n')
    command = (programs / "python", "-m", "simclr_steps", "--version")
    assert "9.9.9" not in run(*command)
    assert "9.9.9" in run(*command, PYTHONPATH=str(tmp_path), PYTHONSAFEPATH="1")
