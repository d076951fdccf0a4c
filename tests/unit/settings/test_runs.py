"""Where the results of a run are, and what it shares with others."""

from __future__ import annotations

from typing import Any

from simclr_steps.settings.runs import GridPoint, Run, SummarySettings, judged_by

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


def test_runs_of_more_pretrainings_than_one_page_holds_have_pages_of_their_own() -> None:
    several = [RUN.model_copy(update={"pretrain": str(name), "seed": seed}) for name in range(6) for seed in (0, 1)]
    assert not SummarySettings(runs=several[:10]).has_pages, "seeds do not count"
    assert SummarySettings(runs=several).has_pages
    assert '"most_in_full":5' in SummarySettings(runs=several).as_json(), "a value of the step, whose change reruns it"


def test_on_its_page_a_run_is_in_no_grid() -> None:
    run = RUN.model_copy(update={"grids": [GridPoint(pretrain="simclr", values={"epochs": 2})]})
    displays: Any = {"digits": {"0": "red"}, "cells": {"0": "red"}}
    one = SummarySettings.model_validate({"runs": [run], "displays": displays}).of_one(run)
    assert one.runs == [RUN] and list(one.displays) == ["digits"]
