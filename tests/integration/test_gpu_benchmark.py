"""The GPU's benchmark runs in small on a CPU, without Snakemake and umap-learn, and goes on where it was stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.files import read_json
from tests.integration.conftest import REPOSITORY

RECIPE = """
datasets:
  cifar10: {source: torchvision, name: CIFAR10, validation_fraction: 0, subset: 1000}
pretrains:
  small:
    encoder: tests.own_encoders:without_batch_norm
    epochs: 40
    global_batch_size: 64
    projection_head: {hidden_size: 32, output_size: 16}
finetunes:
  pretrained: &finetune {labels: 0.3, epochs: 1}
  scratch: {<<: *finetune, init: random}
selection: {criterion: last}
experiments: [{dataset: cifar10, pretrain: small}]
"""

# Not on the lent machine, as its list of packages says.
ABSENT = ("snakemake", "umap", "pynndescent", "bokeh")
BLOCKER = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


class Command:
    """The benchmark as a command, in Pythons that lack some packages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "sitecustomize.py").write_text(BLOCKER)
        (folder / "recipe.yaml").write_text(RECIPE)

    def run(self, *arguments: str | Path, status: int = 0) -> dict[str, Any]:
        """Run it and return the record that it wrote."""
        command = [sys.executable, "-m", "tests.benchmarks.gpu", *map(str, arguments)]
        command += ["--work", str(self._folder / "work"), "--record", str(self._folder / "record.json")]
        command += ["--recipe", str(self._folder / "recipe.yaml"), "--pretrain", "small"]
        command += ["--steps", "2", "--rounds", "1", "--workers", "1", "--gpus", "0"]
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(self._folder), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        parts: dict[str, Any] = read_json(self._folder / "record.json")["parts"]
        return parts


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def test_packages_are_absent_in_all_processes(tmp_path: Path, command: Command) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import umap'], check=True)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(tmp_path)}, stderr=subprocess.PIPE, text=True
    )
    assert "No module named 'umap'" in done.stderr


def test_accuracy_goes_on_where_time_ran_out_and_what_is_done_is_not_done_again(
    originals: Path, command: Command
) -> None:
    real = ("--cifar10", originals)
    for doubled in range(8):  # how long it takes until the training has begun is the machine's affair
        parts = command.run("accuracy", *real, "--minutes", str(0.05 * 2**doubled), status=os.EX_TEMPFAIL)
        if "accuracy-small-seed0" in parts:
            break
    assert "saved at step" in parts["accuracy-small-seed0"]["stopped"]

    parts = command.run("accuracy", "agreement", "finetune", *real, "--seeds", "1")
    accuracy = parts["accuracy-small-seed0"]
    assert accuracy["done"] and accuracy["slices"] == 2 and accuracy["epochs"] == 40 == len(accuracy["losses"])
    assert 0 <= accuracy["knn_accuracy"] <= 1 and 0 <= accuracy["linear_accuracy"] <= 1
    assert parts["agreement"]["agree"] and parts["agreement"]["steps"] == 20
    table = parts["finetune-small-seed0"]["table"]
    assert {(row["block"], row["labels"]) for row in table} == {
        (block, share) for block in ("pretrained", "scratch") for share in (0.01, 0.1, 0.3, 1.0)
    }

    again = command.run("accuracy", "tests", *real, "--minutes", "1", status=os.EX_TEMPFAIL)
    assert again == parts  # what was done is not done again, and what was not takes longer than the time that is left
    other = command.run("agreement", *real, "--commit", "another")
    assert other["agreement"]["commit"] == "another" and other["agreement"]["slices"] == 2


def test_parts_are_recorded_although_one_fails(originals: Path, command: Command) -> None:
    parts = command.run("finetune", "throughput", "processes", "tests", "profile", "--cifar10", originals, status=1)
    assert parts["finetune-small-seed0"]["failed"].endswith("run the part accuracy first")
    speed = parts["throughput"]
    assert speed["share_of_bare_step"]["plain"] > 0 and speed["times_as_fast_as"]["torchvision"] > 0
    assert speed["seconds_per_epoch"] == pytest.approx(960 / speed["images_per_second"]["end to end, plain"])
    assert parts["processes"]["agree"] and parts["processes"]["steps"] == 1000 // 64
    assert parts["tests"]["tests"] == len(parts["tests"]["skipped"]) > 0
    assert parts["profile"]["plain"]["wall_ms"] > 0
