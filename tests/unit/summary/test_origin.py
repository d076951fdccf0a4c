from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from simclr_steps.summary.origin import origin
from tests.unit.summary.written_results import settings, write_finetune, write_run


def test_a_summary_of_all_results_names_its_config_and_nothing_else(tmp_path: Path) -> None:
    write_finetune(write_run(tmp_path, 0), "tuned", "pretrained", 0.9)
    runs = settings(0, finetunes=("tuned",)).runs
    assert origin(runs, tmp_path, "my.yaml") == ["This is the summary of my.yaml."]
    assert origin(runs, tmp_path, "") == []


def test_fine_tunings_from_scratch_are_known_where_runs_share_them_and_named_elsewhere(tmp_path: Path) -> None:
    """They were in the run's own folder in earlier versions."""
    folder, shared = write_run(tmp_path, 0), tmp_path / "digits/compare/random-resnet18-seed0"
    for place in (folder, shared):
        write_finetune(place, "scratch", "random", 0.5)
    (run,) = settings(0, finetunes=("scratch",)).runs
    asked = run.model_copy(update={"starts": {"scratch": shared.name}})
    (sentence,) = origin([asked], tmp_path, "")
    assert sentence.endswith("that are not part of this summary: digits/simclr/seed0/finetune/scratch.")
    (sentence,) = origin([run], tmp_path, "")
    assert sentence.endswith(": digits/compare/random-resnet18-seed0/finetune/scratch.")


@pytest.mark.parametrize(
    ("seeds", "end"), [([1, 2], "digits/simclr/seed1, digits/simclr/seed2."), (range(1, 11), "seed8 and 1 more.")]
)
def test_results_of_other_configs_are_named_and_many_are_counted(
    tmp_path: Path, seeds: Sequence[int], end: str
) -> None:
    write_finetune(write_run(tmp_path, 0), "dropped", "random", 0.5)
    for seed in seeds:
        write_run(tmp_path, seed)
    (sentence,) = origin(settings(0).runs, tmp_path, "")
    assert sentence.startswith(f"{tmp_path.name} also holds results that are not part of this summary: ")
    assert "digits/simclr/seed0/finetune/dropped" in sentence and sentence.endswith(end)
