"""What one run left, as tidy rows: one for each metric, split, label budget and draw."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from simclr_steps.data.correct import Correct
from simclr_steps.data.splits import JUDGED
from simclr_steps.files import read_json
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.judged import splits_judged
from simclr_steps.settings.runs import Run
from simclr_steps.settings.sizes import Size, as_size
from simclr_steps.summary.intervals import ByGroup, interval

Row = dict[str, Any]

BALANCED = "balanced_"  # begins the names of measures in which all classes count alike
GROUPED = ("label_groups", "budget")  # of a result, where images have groups


@dataclass(frozen=True)
class Picture:
    """A picture of a run, and what to know of it."""

    file: Path
    caption: str  # sentences
    page: Path | None = None  # where its points are interactive


@dataclass
class RunResults:
    """One pretraining on one data set from one seed, and what was measured of it."""

    run: Run
    rows: list[Row] = field(default_factory=list)  # the columns of summary.csv, and what is compared as `series`
    history: pd.DataFrame = field(
        default_factory=pd.DataFrame
    )  # of the pretraining, a row for each epoch, behind those that it continues
    records: dict[str, dict[str, Any]] = field(default_factory=dict)  # by stage: what made its results
    confusions: dict[str, pd.DataFrame] = field(default_factory=dict)  # by fine-tuning
    predictions: dict[str, Path] = field(default_factory=dict)  # by fine-tuning: of the split that judges
    finetune_histories: dict[str, pd.DataFrame] = field(
        default_factory=dict
    )  # by fine-tuning: a row for draw and epoch
    per_class: dict[str, list[list[Row]]] = field(
        default_factory=dict
    )  # by fine-tuning: of each draw, on the split that judges
    pictures: list[Picture] = field(default_factory=list)
    explored: dict[str, Any] | None = None  # what explore.json tells
    explored_in_words: str = ""  # a sentence, empty where nothing was explored
    explored_page: Path | None = None
    choice: str = ""  # a sentence: which checkpoint was chosen, and why
    notes: list[str] = field(default_factory=list)  # sentences: what could not be measured
    correct: dict[str, Correct] = field(default_factory=dict)  # by input: which images are right
    tuned: dict[str, Correct] = field(default_factory=dict)  # by fine-tuning: the same
    read_at: dict[str, Size] = field(default_factory=dict)  # by input: the size of the images that its network reads

    def add(
        self,
        stage: str,
        metric: str,
        value: float | None,
        *,
        images: int | None = None,
        by_group: ByGroup | None = None,
        **keys: Any,
    ) -> None:
        """Add a row, unless there is no value.

        `images` is how many were judged, and `by_group` how many of them are right in each group, where it is a share.
        """
        if value is not None and not pd.isna(value):
            row = {"dataset": self.run.dataset, "pretrain": self.run.pretrain, "seed": self.run.seed, "stage": stage}
            row |= {**keys, "metric": metric, "value": value}
            if images:
                row["images"] = images
                row["low"], row["high"] = interval(value, images, by_group)
                if by_group:
                    row["groups"], row["by_group"] = len(by_group), by_group
            self.rows.append(row)

    def read(self, stage: str, path: Path) -> dict[str, Any] | None:
        """Read a JSON file if it exists, and keep the record in it."""
        if not path.exists():
            return None
        content: dict[str, Any] = read_json(path)
        self.records[stage] = content.get("run", content)
        return content

    def keep_size(self, name: str, content: Mapping[str, Any] | None) -> None:
        """Keep the size at which an input's network reads images, if its results tell it."""
        if content and content.get("architecture"):
            height, width = as_size(content["architecture"]["image_size"])
            self.read_at[name] = (height, width)

    def shows(self, measured: Collection[str]) -> bool:
        """Return whether the run may show what correct.npz is of: of splits with figures, the one judged last."""
        judged = [split for split in JUDGED if split in measured]
        return not judged or judged[-1] in splits_judged(self.run.judged_by)

    def check_data(self, stage: str, folder: Path) -> None:
        """Raise UserError unless the data are those on which the run's own features were judged."""
        measured, own = (self.records.get(name, {}).get("data_hash") for name in (stage, "knn"))
        if measured and own and measured != own:
            raise UserError(f"{folder} was measured on data other than the run's: run {stage.split()[0]} again")


def groups_of(measured: dict[str, Any], metric: str) -> ByGroup | None:
    """Return what is measured of the groups, if the images have any."""
    return ByGroup.of(measured.get("balanced_by_group" if metric.startswith(BALANCED) else "by_group"), metric)


def of_share(measured: dict[str, Any], metric: str, images: int | None) -> dict[str, Any]:
    """Return what a share's interval is of: fewer images where classes differ in size but count alike, and groups."""
    count = measured.get("effective_images") if metric.startswith(BALANCED) else images
    return {"images": count, "by_group": groups_of(measured, metric)}
