"""The GPU's benchmark runs in small on a CPU, without Snakemake and umap-learn, and goes on where it was stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simclr_steps.data.packed import read_split
from simclr_steps.files import read_json
from simclr_steps.machine.errors import UserError
from tests.benchmarks import agreement, gpu
from tests.benchmarks.agreement import few_steps, read_losses
from tests.benchmarks.recipe import read_pretrain
from tests.benchmarks.waiting import wait_until
from tests.integration.conftest import REPOSITORY
from tests.integration.hanging_encoders import DAWDLES

pytestmark = [pytest.mark.slow(90), pytest.mark.timeout(1800)]

RECIPE = """
datasets:
  cifar10: {source: torchvision, name: CIFAR10, validation_fraction: 0, subset: 1000}
pretrains:
  small: &small
    encoder: tests.own_encoders:without_batch_norm
    epochs: 10
    global_batch_size: 64
    view_size: 8
    projection_head: {hidden_size: 32, output_size: 16}
    augmentation: {jitter_probability: 0, grayscale_probability: 0}
  brief: {<<: *small, epochs: 2}
  hanging: {<<: *small, encoder: "tests.integration.hanging_encoders:hanging"}
  dawdling: {<<: *small, encoder: "tests.integration.hanging_encoders:dawdling"}
finetunes:
  pretrained: &finetune {labels: 0.3, epochs: 1}
  scratch: {<<: *finetune, init: random}
selection: {criterion: last}
experiments: [{dataset: cifar10, pretrain: small}]
"""

# Not on the lent machine, as its list of packages says.
ABSENT = ("snakemake", "umap", "pynndescent")
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
        self.folder = folder
        (folder / "sitecustomize.py").write_text(BLOCKER)
        (folder / "recipe.yaml").write_text(RECIPE)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the benchmark."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.gpu", *arguments],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(self.folder), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def start_parts(self, *arguments: str | Path, pretrain: str = "small") -> subprocess.Popen[str]:
        """Start some parts of the benchmark, in small."""
        return self.start(*self._in_small(arguments, pretrain))

    def _in_small(self, arguments: Sequence[str | Path], pretrain: str) -> list[str]:
        """Return the arguments for few steps and small images, with all places below the folder."""
        places = ("--work", self.folder / "work", "--record", self.folder / "record.json")
        recipe = ("--recipe", self.folder / "recipe.yaml", "--pretrain", pretrain)
        few = ("--images", "1000", "--steps", "2", "--workers", "1", "--gpus", "0")
        return list(map(str, (*arguments, *places, *recipe, *few)))

    def run(self, *arguments: str | Path, pretrain: str = "small", status: int = 0) -> dict[str, Any]:
        """Run some parts and return the parts of the record."""
        process = self.start_parts(*arguments, pretrain=pretrain)
        said, _ = process.communicate()
        assert process.returncode == status, said
        return self.parts()

    def call(self, *arguments: str | Path, pretrain: str = "small") -> tuple[int, dict[str, Any]]:
        """Run some parts in this process, which saves imports; return the exit status and the parts of the record."""
        return gpu.main(self._in_small(arguments, pretrain)), self.parts()

    def record(self) -> dict[str, Any]:
        """Return the record."""
        record: dict[str, Any] = read_json(self.folder / "record.json")
        return record

    def parts(self) -> dict[str, Any]:
        """Return the parts of the record."""
        parts: dict[str, Any] = self.record()["parts"]
        return parts

    def processes(self) -> list[int]:
        """Return the processes that run with this command's environment."""
        return [int(file.parent.name) for file in Path("/proc").glob("[0-9]*/environ") if self._owns(file)]

    def _owns(self, environment: Path) -> bool:
        try:
            return f"PYTHONPATH={self.folder}".encode() in environment.read_bytes().split(b"\0")
        except OSError:  # it has just ended
            return False


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv(DAWDLES, str(tmp_path / "dawdle"))
    return Command(tmp_path)


def test_packages_are_absent_in_all_processes(tmp_path: Path, command: Command) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import umap'], check=True)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(tmp_path)}, stderr=subprocess.PIPE, text=True
    )
    assert "No module named 'umap'" in done.stderr


@pytest.mark.slow(150)
def test_accuracy_goes_on_where_time_ran_out_and_what_is_done_is_not_done_again(
    originals: Path, command: Command
) -> None:
    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        return command.call(*arguments, "--cifar10", originals, pretrain="dawdling")

    (command.folder / "dawdle").touch()
    for doubled in range(3):  # how long it takes until the training has begun is the machine's affair
        status, parts = call("accuracy", "--minutes", str(1.2 * 2**doubled))
        assert status == os.EX_TEMPFAIL
        if "accuracy-dawdling-seed0-auto" in parts:
            break
    assert "saved at step" in parts["accuracy-dawdling-seed0-auto"]["stopped"]

    (command.folder / "dawdle").unlink()
    asked = ("accuracy", "agreement", "finetune", "--seeds", "1", "--cifar10", originals)
    parts = command.run(*asked, pretrain="dawdling")
    accuracy = parts["accuracy-dawdling-seed0-auto"]
    assert accuracy["done"] and accuracy["slices"] == 2 and accuracy["epochs"] == 10 == len(accuracy["losses"])
    assert 0 <= accuracy["knn_accuracy"] <= 1 and 0 <= accuracy["linear_accuracy"] <= 1
    assert parts["agreement"]["agree"] and parts["agreement"]["steps"] == 20
    table = parts["finetune-dawdling-seed0-auto"]["table"]
    assert {(row["block"], row["labels"]) for row in table} == {
        (block, share) for block in ("pretrained", "scratch") for share in (0.01, 0.1, 0.3, 1.0)
    }

    # what was done is not done again, and what was not takes longer than the time that is left
    assert call("accuracy", "tests", "--minutes", "1") == (os.EX_TEMPFAIL, parts)
    status, other = call("agreement", "--commit", "another")
    assert status == 0 and other["agreement"]["made_of"]["commit"] == "another" and other["agreement"]["slices"] == 1


def test_parts_are_recorded_although_one_fails(originals: Path, command: Command) -> None:
    asked = ("finetune", "epochs", "step", "others", "processes", "tests", "profile", "compiled")
    parts = command.run(*asked, "--cifar10", originals, status=1)
    assert parts["finetune-small-seed0-auto"]["failed"].endswith("run the part accuracy first")
    speed = command.record()["speed"]
    assert speed["share_of_bare_step"]["plain"] > 0 and speed["times_as_fast_as"]["torchvision"] > 0
    assert speed["seconds_per_epoch"] == pytest.approx(960 / speed["images_per_second"]["end to end, plain"])
    assert parts["step"]["images_per_second"].keys() == {"bare step, plain", "views alone, plain"}
    assert parts["processes"]["agree"] and parts["processes"]["steps"] == 1000 // 64
    assert parts["tests"]["tests"] == len(parts["tests"]["skipped"]) > 0
    assert parts["profile"]["plain"].keys() == {"steps", "wall_ms"}  # the rest is a GPU's
    assert "a GPU" in parts["compiled"]["missing"]


def test_a_contestant_that_hangs_is_killed_and_the_figures_of_all_others_stand(command: Command) -> None:
    status, parts = command.call("step", "epochs", "profile", "--rounds", "2", "--limit", "8", pretrain="hanging")
    assert status == 1
    step = parts["step"]
    assert step["left_out"] == {"bare step, plain": "took more than 8 s and was killed"}
    assert {name: len(rates) for name, rates in step["rounds"].items()} == {
        "bare step, plain": 1,
        "views alone, plain": 2,
    }
    assert parts["epochs"]["left_out"].keys() == {"end to end, plain"} and not parts["epochs"]["done"]
    assert parts["profile"]["left_out"].keys() == {"plain"}


def test_what_was_found_is_on_record_when_the_benchmark_is_killed(command: Command) -> None:
    benchmark = command.start_parts("step", "--rounds", "2", "--limit", "600", pretrain="hanging")
    try:
        wait_until(lambda: (command.folder / "record.json").exists() and len(command.parts()["step"]["rounds"]) == 2)
    finally:
        benchmark.kill()
        benchmark.communicate()
    step = command.parts()["step"]
    assert step["images_per_second"]["bare step, plain"] > 0 and not step["done"]
    wait_until(lambda: command.processes() == [])  # a contestant would else hold the GPU


def test_the_cpus_half_of_the_agreement_is_carried_along(command: Command) -> None:
    file, recipe = command.folder / "cpu.json", command.folder / "recipe.yaml"
    assert agreement.main([str(file), "--recipe", str(recipe), "--pretrain", "small"]) == 0
    status, parts = command.call("agreement", "--cpu-losses", file)
    assert status == 0 and parts["agreement"]["agree"] and parts["agreement"]["expected"] == read_json(file)["losses"]
    assert not (command.folder / "work/agreement/cpu").exists()

    recipe.write_text(RECIPE.replace("output_size: 16", "output_size: 8"))
    with pytest.raises(UserError, match="holds losses of other settings"):
        read_losses(file, few_steps(read_pretrain(recipe, "small")), command.folder / "work/agreement/packed")


def test_some_training_batches_are_a_data_set_with_a_hold_out(
    originals: Path, tmp_path: Path, command: Command
) -> None:
    some = tmp_path / "some/cifar-10-batches-py"
    some.mkdir(parents=True)
    (some / "data_batch_2").symlink_to(originals / "cifar-10-batches-py/data_batch_2")
    asked = ("epochs", "accuracy", "--cifar10", some.parent, "--minutes", "3", "--fit-epochs")
    for _ in range(3):  # on a machine that became busy the time runs out, and the next call goes on
        status, parts = command.call(*asked, pretrain="brief")
        if status != os.EX_TEMPFAIL:
            break
    assert status == 0
    packed = command.folder / "work/cifar10-2/packed"
    train, test = (read_split(packed, split) for split in ("train", "test"))
    assert len(train) == 9_000 and len(test) == 1_000
    assert np.ptp(np.bincount(test.labels, minlength=10)) < 20
    accuracy = parts["accuracy-brief-seed0-auto"]
    assert accuracy["made_of"]["images"].startswith("data_batch_2 of CIFAR-10")
    assert 1 <= accuracy["epochs"] <= 2 and 0.1 < accuracy["knn_accuracy"] <= 1
