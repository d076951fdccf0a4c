"""What README tells users to type works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.integration.conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return README's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[list[str]]:
    """Return README's commands that start with a program, in words."""
    lines = "".join(blocks("bash")).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [command for command in words if command and command[0] == program]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the repository with a folder of images and README's config for them."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("workflow", "simclr_steps", "config"):
        shutil.copytree(REPOSITORY / name, folder / name)
    for name in ("Makefile", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(REPOSITORY / name, folder)
    (folder / "my.yaml").write_text(blocks("yaml")[0])
    (folder / "containers").mkdir()
    (folder / "containers/simclr.sif").touch()
    for name in ("cat", "dog"):
        (folder / "photos" / name).mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "photos" / name / "1.png")
    return folder


def run(project: Path, command: list[str]) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    result = subprocess.run(
        command, cwd=project, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.mark.parametrize("command", commands("make"), ids=" ".join)
def test_make_knows_the_target(project: Path, command: list[str]) -> None:
    targets = re.findall(r"^([\w.]+):", (project / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(command[1:]) <= set(targets)


PLANNED = [words for words in commands("snakemake") if "--report" not in words]  # make demo makes the report


@pytest.mark.parametrize("command", PLANNED, ids=lambda words: words[-1])
def test_snakemake_plans_what_is_asked_for(project: Path, command: list[str]) -> None:
    if "apptainer" in command and not shutil.which("apptainer"):
        pytest.skip("needs Apptainer")
    assert "Job stats" in run(project, [*command, "--dry-run"])


@pytest.mark.parametrize("command", [words for words in commands("python") if "--help" in words], ids=" ".join)
def test_steps_explain_themselves(project: Path, command: list[str]) -> None:
    assert "usage: python -m simclr_steps" in run(project, command)


def test_watch_looks_at_the_results(project: Path) -> None:
    (project / "logs").mkdir()
    [command] = [words for words in commands("python") if "watch" in words]
    assert run(project, command) == "nothing runs\n"


def test_tensorboard_takes_the_option(project: Path) -> None:
    [command] = commands("tensorboard")
    options = run(project, [command[0], "--helpfull"])
    assert [word for word in command if word.startswith("--") and word not in options] == []


def test_encoder_is_read_as_readme_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    import torchvision

    from simclr_steps.architecture import resolve
    from simclr_steps.encoders import Encoder, save_network
    from simclr_steps.settings import PretrainSettings

    encoder = Encoder(resolve(PretrainSettings(), image_size=8, channels=1))
    save_network(tmp_path / "results/digits/simclr/seed0/encoder/encoder.safetensors", encoder)
    monkeypatch.chdir(tmp_path)
    names: dict[str, dict[str, torch.Tensor]] = {}
    exec(blocks("python")[0], names)
    plain = torchvision.models.resnet18(weights=None)
    plain.fc = torch.nn.Identity()
    assert set(names["backbone"]) == set(plain.state_dict())


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links and [link for link in links if not (REPOSITORY / link).exists()] == []


def test_yaml_is_ten_lines_at_most() -> None:
    assert len(blocks("yaml")[0].splitlines()) <= 10
