"""The runs that experiments ask for, and the summary of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field

from simclr_steps.settings.base import Settings
from simclr_steps.settings.display import Display
from simclr_steps.settings.judged import JudgedBy


class GridPoint(Settings):
    """One combination of a grid's values."""

    pretrain: str  # the block that the grid is laid over
    values: dict[str, Any]
    block: dict[str, Any] = Field({})  # what a block of pretrains would be that is written for this combination


class Run(Settings):
    """One pretraining on one data set from one seed, and the fine-tunings of it and beside it."""

    dataset: str
    pretrain: str  # the block's name and, after it, the grid's values if there are any: simclr-temperature=0.2
    seed: int
    finetunes: list[str]
    grids: list[GridPoint] = Field([])  # what the run is in each grid that asks for it
    judged_by: JudgedBy = "test"  # validation if no experiment but grids asks for its pretraining
    continues: list[str] = Field([])  # the pretrainings from whose end this one goes on, the first one first
    compared: list[str] = Field([])  # what it is compared with, by the names of folders
    starts: dict[str, str] = Field({})  # those among them that a fine-tuning starts from instead of its own encoder
    judged_for_others: list[str] = Field([])  # its fine-tunings that it shares, and that others have judged by test

    @property
    def title(self) -> str:
        """Name the data set and the pretraining, as all seeds of it do."""
        return f"{self.dataset}, {self.pretrain}"

    @property
    def folder(self) -> str:
        """Where the run's results are, below those of all runs."""
        return self.folder_of(self.pretrain)

    @property
    def folders_compared(self) -> list[str]:
        """Where those of what it is compared with are, which other runs share."""
        return [f"{self.dataset}/compare/{name}" for name in self.compared]

    @property
    def classifiers(self) -> dict[str, str]:
        """Where its fine-tunings are, by name; other runs share those that do not start from its own encoder."""
        shared = {name: f"{self.dataset}/compare/{start}" for name, start in self.starts.items()}
        return {name: f"{shared.get(name, self.folder)}/finetune/{name}" for name in self.finetunes}

    def folder_of(self, pretrain: str) -> str:
        """Return the same of another pretraining on the data set from the seed."""
        return f"{self.dataset}/{pretrain}/seed{self.seed}"

    def knowing(self, judges: Mapping[str, JudgedBy]) -> Run:
        """Return the run that knows what others have judged, by the folders of all runs of a plan."""
        of_others = [name for name, folder in self.classifiers.items() if judges[folder] != self.judged_by]
        return self.model_copy(update={"judged_for_others": of_others})


def judged_by(runs: Iterable[Run]) -> dict[str, JudgedBy]:
    """Return by which split results are judged, by their folder: what several runs share by test if one of them is."""
    found: dict[str, JudgedBy] = {}
    for run in sorted(runs, key=lambda run: run.judged_by == "test"):  # so that these have the last word
        for folder in (run.folder, *run.folders_compared, *run.classifiers.values()):
            found[folder] = run.judged_by
    return found


def judge_of(folder: str, judges: Mapping[str, JudgedBy], runs: Iterable[Run]) -> JudgedBy:
    """Return by which split results in a folder are judged; of a seed that no run has, that of its pretraining."""
    if folder in judges:
        return judges[folder]
    pretraining = folder.split("/")[:2]
    of_seeds = {run.judged_by for run in runs if [run.dataset, run.pretrain] == pretraining}
    return "validation" if of_seeds == {"validation"} else "test"


class SummarySettings(Settings):
    """The runs that a summary is about."""

    runs: list[Run]
    displays: dict[str, Display] = Field({})  # by data set, where the images are not shown as they are
    metadata: list[str] = Field([])
    explored: bool = False
    pictures: bool = True  # whether images of the data are shown
    predicted: list[str] = Field(["test"])  # the splits that classifiers predict
    most_in_full: int = 5  # data sets and pretrainings on one page; if there are more, runs have pages of their own

    @property
    def has_pages(self) -> bool:
        """Whether there are too many pretrainings for one page, so that each run has its own."""
        return len({run.title for run in self.runs}) > self.most_in_full

    def of_one(self, run: Run) -> SummarySettings:
        """Return what the page of a run is about, on which it is in no grid, as nothing of the others is there."""
        displays = {name: display for name, display in self.displays.items() if name == run.dataset}
        return self.model_copy(update={"runs": [run.model_copy(update={"grids": []})], "displays": displays})
