"""What counts as done, what is run again, and what a user reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.files import read_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
from tests.benchmarks import gpu
from tests.benchmarks.accuracy import settings_that_fit
from tests.benchmarks.agreement import read_losses
from tests.benchmarks.recipe import RECIPE
from tests.benchmarks.session import Session
from tests.benchmarks.speed import profiled_steps

Figures = dict[str, Any]


class Benchmark:
    """The benchmark with parts that find what a test says."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.finds, self.runs = folder, Figures(), list[str]()
        for name, kind in list(gpu.PARTS.items()):
            monkeypatch.setitem(gpu.PARTS, name, gpu.Kind(self._runs(name), kind.depends_on, kind.seconds))

    def _runs(self, name: str) -> Any:
        def run(session: Session) -> Iterator[Figures]:
            self.runs.append(name)
            yield self.finds

        return run

    def arguments(self, *arguments: str) -> list[str]:
        places = ["--work", str(self.folder / "work"), "--record", str(self.folder / "record.json")]
        return [*arguments, *places, *([] if "--gpus" in arguments else ["--gpus", "0"])]

    def main(self, *arguments: str) -> int:
        return gpu.main(self.arguments(*arguments))

    def session(self, *arguments: str, leave_by: float = 0.0) -> Session:
        options = gpu.parse(self.arguments(*arguments))
        return Session(options, Hardware(gpus=0, compile=options.compile), leave_by)

    def record(self) -> Figures:
        record: Figures = read_json(self.folder / "record.json")
        return record


@pytest.fixture
def benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Benchmark:
    return Benchmark(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"left_out": {"bare step, plain": "took too long"}}, "left out: bare step, plain"),
        ({"agree": False}, "the losses do not agree"),
        ({"exit_status": 1, "failure": ["test_some.py::test_one"]}, "pytest ended with exit status 1"),
        ({"exit_status": None, "killed_after": 150.0}, "pytest was killed"),
    ],
)
def test_a_part_that_has_not_found_what_it_is_for_is_not_done_and_is_run_again(
    benchmark: Benchmark, found: Figures, why: str
) -> None:
    benchmark.finds = found
    assert benchmark.main("step") == 1
    part = benchmark.record()["parts"]["step"]
    assert not part["done"] and part["failed"] == why

    benchmark.finds = {"left_out": {}, "agree": True, "exit_status": 0}
    assert benchmark.main("step") == 0 == benchmark.main("step")
    assert benchmark.runs == ["step", "step"] and benchmark.record()["parts"]["step"]["done"]


def test_a_part_is_run_again_when_an_option_changes_that_it_depends_on(benchmark: Benchmark, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.read_text())
    given = ["--recipe", str(recipe)]
    for change in ("--seeds 1", "--commit x", "--steps 7", "--rounds 2", "--pretrain resnet18_500"):
        given += change.split()
        assert benchmark.main("step", *given) == 0 == benchmark.main("step", *given)
    assert benchmark.runs == ["step"] * 5
    recipe.write_text(recipe.read_text().replace("temperature: 0.5", "temperature: 0.2"))
    benchmark.main("step", *given)
    assert len(benchmark.runs) == 6

    benchmark.main("agreement")
    benchmark.main("agreement", "--steps", "7")
    assert benchmark.runs.count("agreement") == 1


def test_speeds_of_different_commits_are_not_compared(benchmark: Benchmark) -> None:
    benchmark.finds = {"images_per_second": {"end to end, plain": 100.0}, "images_per_epoch": 1000}
    benchmark.main("epochs", "--commit", "one")
    benchmark.finds = {"images_per_second": {"bare step, plain": 200.0}}
    benchmark.main("step", "--commit", "one")
    assert benchmark.record()["speed"]["share_of_bare_step"] == {"plain": 0.5}
    benchmark.main("step", "--commit", "two")
    assert benchmark.record()["speed"]["share_of_bare_step"] == {}
    assert benchmark.record()["parts"].keys() == {"epochs", "step"}


def test_a_training_belongs_to_its_commit_its_options_and_its_images(benchmark: Benchmark) -> None:
    changes = ["--commit x", "--compile never", "--fit-epochs", "--seed 1", "--pretrain resnet18_500", "--images 9"]
    folders = {benchmark.session(*change.split()).trained for change in ["", *changes]}
    assert len(folders) == 7
    assert benchmark.session("--steps", "7", "--seeds", "1").trained == benchmark.session().trained


def test_fitting_epochs_are_computed_once(benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    with pytest.raises(UserError, match="run the part epochs first"):
        settings_that_fit(benchmark.session("--fit-epochs", leave_by=160))
    benchmark.finds = {"images_per_second": {"end to end, plain": 500.0}, "images_per_epoch": 1000}
    benchmark.main("epochs")
    for left in (160, 80):  # a second call has less time
        assert settings_that_fit(benchmark.session("--fit-epochs", leave_by=left)).epochs == 45


def test_as_many_steps_are_profiled_as_an_epoch_has() -> None:
    assert [profiled_steps(epoch, 100) for epoch in (97, 52, 35, 20)] == [20, 20, 12, 10]
    assert profiled_steps(97, 2) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--cifar10", "/nowhere"], "--cifar10 /nowhere: /nowhere/cifar-10-batches-py holds no training batch"),
        (["--gpus", "99"], "--gpus 99 exceeds the"),
        (["--pretrain", "none"], "--pretrain none: "),
        (["--recipe", "/nowhere"], "--recipe /nowhere does not exist"),
    ],
)
def test_wrong_options_end_in_a_sentence(
    benchmark: Benchmark, caplog: pytest.LogCaptureFixture, arguments: list[str], says: str
) -> None:
    assert benchmark.main("step", "--commit", "one", *arguments) == 1
    assert len(caplog.messages) == 1 and caplog.messages[0].startswith(f"error: {says}")
    assert benchmark.runs == []


def test_a_missing_commit_is_warned_of(benchmark: Benchmark, caplog: pytest.LogCaptureFixture) -> None:
    benchmark.main("step")
    assert "add --commit $(git rev-parse HEAD)" in caplog.text


def test_compile_is_one_of_those_of_a_step(benchmark: Benchmark) -> None:
    with pytest.raises(SystemExit):
        benchmark.session("--compile", "sometimes")


def test_missing_losses_of_the_cpu_are_told_with_the_command_that_writes_them(benchmark: Benchmark) -> None:
    with pytest.raises(UserError, match="write it with python -m tests.benchmarks.agreement"):
        read_losses(benchmark.folder / "cpu.json", benchmark.session().chosen, benchmark.folder)


def test_figures_fit_in_a_line() -> None:
    tests = {"tests": 20, "failure": ["a.py::b"], "error": [], "skipped": ["x"] * 12, "exit_status": 1}
    assert gpu.headline(tests) == "tests 20, failure a.py::b, error 0, skipped 12, exit_status 1"
    assert gpu.headline({"missing": ["a GPU", "Triton"]}) == "missing a GPU and Triton"
    rates = {"images_per_second": {"plain": 1234.5678}, "left_out": {}, "losses": [1.0, 2.0], "run": {"seed": 0}}
    assert gpu.headline(rates) == "images_per_second (plain 1235)"
