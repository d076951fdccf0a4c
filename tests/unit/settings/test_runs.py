"""Where the results of a run are, and what it shares with others."""

from __future__ import annotations

from typing import Any

from simclr_steps.settings.runs import Run, judged_by

RUN = Run(
    dataset="digits",
    pretrain="simclr",
    seed=3,
    finetunes=["tuned", "scratch"],
    compared=["pixels", "random-resnet18-seed3"],
    starts={"scratch": "random-resnet18-seed3"},
)


def test_a_run_and_those_before_it_have_folders() -> None:
    assert (RUN.folder, RUN.folder_of("parent")) == ("digits/simclr/seed3", "digits/parent/seed3")
    assert RUN.folders_compared == ["digits/compare/pixels", "digits/compare/random-resnet18-seed3"]


def test_fine_tunings_are_where_they_start_from() -> None:
    assert RUN.classifiers == {
        "tuned": "digits/simclr/seed3/finetune/tuned",
        "scratch": "digits/compare/random-resnet18-seed3/finetune/scratch",
    }


def test_what_runs_share_is_judged_by_test_if_one_of_them_is() -> None:
    shared: dict[str, Any] = {"dataset": "d", "seed": 0, "finetunes": [], "compared": ["pixels"]}
    runs = [Run(**shared, pretrain="a"), Run(**shared, pretrain="b", judged_by="validation")]
    expected = {"d/a/seed0": "test", "d/b/seed0": "validation", "d/compare/pixels": "test"}
    assert judged_by(runs) == judged_by(runs[::-1]) == expected
