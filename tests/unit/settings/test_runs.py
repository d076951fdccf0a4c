"""Where the results of a run are, and what it shares with others."""

from __future__ import annotations

from simclr_steps.settings.runs import Run

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
