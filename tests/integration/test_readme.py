"""What README tells users to type works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from simclr_steps.cli.parser import parse
from simclr_steps.commands.run import command as words_of_run
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder, save_network
from simclr_steps.settings.config import read_config
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.plan import plan
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.reading import read_yaml
from simclr_steps.steps.check import check
from tests.integration.conftest import REPOSITORY
from tests.snakemake_runs import run_snakemake
from tests.unit.packing import pack_and_label

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


@pytest.mark.slow
@pytest.mark.parametrize("command", PLANNED, ids=lambda words: " ".join(words[3:]))
def test_snakemake_plans_what_is_asked_for(project: Path, command: list[str]) -> None:
    if "apptainer" in command and not shutil.which("apptainer"):
        pytest.skip("needs Apptainer")
    done = run_snakemake([*command[1:], "--dry-run"], project, {})
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Job stats" in said
    if "my.yaml" in command:
        assert "resources/mine" in said and "resources/digits" not in said


# Without options, run plans the same as with -n, and make demo makes the report.
RUNS = [words for words in commands("simclr") if words[1] == "run" and words[3:] and "--report" not in words]


@pytest.mark.slow
@pytest.mark.parametrize("command", RUNS, ids=lambda words: " ".join(words[2:]))
def test_run_plans_what_is_asked_for(project: Path, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if "apptainer" in command and not shutil.which("apptainer"):
        pytest.skip("needs Apptainer")
    monkeypatch.chdir(project)
    asked = parse(command[1:])
    words = words_of_run(asked.config, asked.targets, slurm=asked.slurm, options=[*asked.options, "--dry-run"])
    done = run_snakemake(words[words.index("snakemake") + 1 :], project, {})
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Job stats" in said
    assert ("resources/mine" in said) == ("my.yaml" in command)


HELP = [words for words in commands("simclr") if "--help" in words]
BY_HAND = {words[1]: words for words in commands("simclr") if "--help" not in words and words[1] != "run"}


@pytest.mark.parametrize("command", HELP, ids=" ".join)
def test_steps_explain_themselves(project: Path, command: list[str]) -> None:
    assert "usage: simclr" in run(project, command)


def test_watch_looks_at_the_results(project: Path) -> None:
    (project / "logs").mkdir()
    assert run(project, BY_HAND["watch"]).startswith("nothing is running\n")


def test_tensorboard_takes_the_option(project: Path) -> None:
    [command] = commands("tensorboard")
    options = run(project, [command[0], "--helpfull"])
    assert [word for word in command if word.startswith("--") and word not in options] == []


def write_encoder(folder: Path, encoder: str, image_size: int, channels: int) -> Encoder:
    """Write an encoder of random weights and statistics to the place that README names."""
    network = Encoder(
        resolve(PretrainSettings(encoder=encoder), ImageFormat.of_8_bits((image_size, image_size), channels))
    ).train()
    network(torch.rand(4, channels, image_size, image_size))
    save_network(folder / "results/digits/simclr/seed0/encoder/encoder.safetensors", network)
    return network.eval()


@pytest.mark.slow
def test_new_images_are_embedded_and_the_encoder_is_exported(project: Path) -> None:
    encoder = write_encoder(project, "resnet18", image_size=8, channels=1)
    run(project, BY_HAND["embed"])
    run(project, BY_HAND["export"])
    table = pd.read_parquet(project / "features.parquet")
    assert list(table["path"]) == ["cat/1.png", "dog/1.png"]
    session = onnxruntime.InferenceSession(project / "encoder.onnx")
    (exported,) = session.run(None, {"images": np.zeros((2, 8, 8, 1), np.uint8)})
    with torch.no_grad():
        expected = encoder.backbone(torch.zeros(2, 1, 8, 8))
    np.testing.assert_allclose(np.stack(list(table["features"])), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(exported, expected, rtol=1e-4, atol=1e-5)


SMALL = next(block for block in blocks("python") if "load_file" in block)
PHOTOS = re.sub(r"^network.conv1 = .*\n|network.maxpool = ", "", SMALL, flags=re.MULTILINE)
TIMM = re.sub(r"(?<=network = )torchvision.*", re.findall(r"`(timm\.[^`]*)`", README)[0], SMALL)
TIMM = "import timm\n" + re.sub(r"^network\.(conv1|maxpool) = .*\n", "", TIMM, flags=re.MULTILINE)


def test_the_encoder_is_loaded_in_five_lines() -> None:
    assert len(SMALL.split("\n\n")[1].splitlines()) == 5


@pytest.mark.parametrize(
    ("encoder", "image_size", "channels", "code"),
    [("resnet18", 8, 1, SMALL), ("resnet18", 96, 3, PHOTOS), ("timm:convnext_atto", 32, 3, TIMM)],
)
def test_what_readme_loads_makes_the_encoders_features(
    encoder: str, image_size: int, channels: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = write_encoder(tmp_path, encoder, image_size, channels)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    images = torch.rand(3, channels, image_size, image_size)
    with torch.no_grad():
        assert torch.equal(names["network"](images), trained.backbone(images))


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links and [link for link in links if not (REPOSITORY / link).exists()] == []


def write_photos(folder: Path, classes: int) -> None:
    for number in range(60):
        file = folder / "photos" / f"class {number % classes}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(file)


@pytest.mark.parametrize("classes", [2, 20])
def test_the_config_for_own_images_asks_nothing_that_60_images_lack(classes: int, tmp_path: Path) -> None:
    write_photos(tmp_path, classes)
    content = yaml.safe_load(blocks("yaml")[0])
    content["datasets"]["mine"]["path"] = str(tmp_path / "photos")
    asked = plan(read_config(content))
    pack_and_label(asked.config.datasets["mine"], tmp_path / "mine")
    check(asked.demands("mine"), data=tmp_path / "mine")


def test_init_prints_the_config_that_run_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(tmp_path, classes=2)
    run(tmp_path, ["sh", "-c", " ".join(BY_HAND["init"])])  # which writes my.yaml
    monkeypatch.chdir(tmp_path)
    words_of_run(Path("my.yaml"), [], slurm=False, options=[])
    assert plan(read_config(read_yaml(Path("my.yaml")))).runs


def test_yaml_is_ten_lines_at_most() -> None:
    assert len(blocks("yaml")[0].splitlines()) <= 10
