"""What the nearest neighbors of images tell of columns of the data set's table, such as the plate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from simclr_steps.summary.intervals import Spread, interval, spread_of
from simclr_steps.summary.notes import Note, Weight
from simclr_steps.summary.tables import Table

MEANING = (
    "How often the 10 nearest neighbors of an image in the frozen features vote for its value of a column of the data "
    "set's table, in %. Chance is the mean of the same votes after the values are shuffled, and 97.5 % of the shuffles "
    'stay below "chance at most". A batch effect is an accuracy whose whole interval lies above that.'
)
_RARE = 0.025  # the share of shuffles above `chance_most`
_MEASURED = ("chance", "chance_most", "shuffled", "least_p")


@dataclass(frozen=True)
class BatchEffect:
    """How well one pretraining's features predict a column."""

    dataset: str
    pretrain: str
    column: str
    accuracy: Spread
    chance: float
    chance_most: float  # 97.5 % of the shuffles stay below
    shuffled: int  # groups, or images where these were shuffled
    least_p: float  # the smallest p-value that shuffling can give

    @property
    def is_tested(self) -> bool:
        """Return whether there are enough groups: whether the shuffles could show any effect."""
        return self.least_p <= _RARE

    @property
    def is_found(self) -> bool:
        """Return whether the whole interval of the accuracy lies above what 97.5 % of the shuffles reach."""
        low, _ = interval(self.accuracy.mean, self.accuracy.images or 1, self.accuracy.by_group)
        return self.is_tested and low > self.chance_most

    @property
    def unit(self) -> str:
        """Return what was shuffled."""
        return "images" if self.shuffled == self.accuracy.images else "groups"

    @property
    def verdict(self) -> str:
        """Return what was found, for the table."""
        if not self.is_tested:
            return f"too few {self.unit} to tell ({self.shuffled})"
        return "batch effect" if self.is_found else "not distinguishable from chance"

    def note(self) -> Note:
        """Say what was found."""
        if not self.is_tested:
            return self._note(
                Weight.TOO_FEW,
                f"{self.verdict} whether the features predict {self.column}: shuffling puts its values where they were "
                f"in {100 * self.least_p:.1f} % of all cases, and {100 * _RARE:g} % is the most that could show an "
                f"effect: add {self.unit}.",
            )
        found = f"{self.column} is predicted at {self.accuracy.counted()} % by the nearest neighbors of images"
        chance, most = 100 * self.chance, 100 * self.chance_most
        if self.is_found:
            effect = f"a batch effect, unless {self.column} is what images differ by"
            return self._note(Weight.DOUBTFUL, f"{found}, where chance is {chance:.1f} %: {effect}.")
        by_chance = f"{chance:.1f} % (up to {most:.1f} % by shuffled values)"
        return self._note(Weight.UNMEASURED, f"{found}, which cannot be distinguished from chance, {by_chance}.")

    def _note(self, weight: Weight, text: str) -> Note:
        return Note(weight, text, self.dataset, self.pretrain)


def batch_effects(rows: pd.DataFrame) -> Iterator[BatchEffect]:
    """Yield from tidy rows what was found of each pretraining and column, over its seeds."""
    of_columns = rows[rows["stage"] == "metadata"].groupby(["dataset", "pretrain", "input"], sort=False)
    for (dataset, pretrain, column), part in of_columns:
        of_metric = {str(metric): one for metric, one in part.groupby("metric")}
        chance, most, shuffled, least_p = (float(of_metric[metric]["value"].mean()) for metric in _MEASURED)
        accuracy = spread_of(of_metric["accuracy"])
        yield BatchEffect(str(dataset), str(pretrain), str(column), accuracy, chance, most, round(shuffled), least_p)


def as_table(effects: Sequence[BatchEffect]) -> Table:
    """Return a row for each pretraining and column, below a header; nothing where no column was asked for."""
    rows = [
        [
            *(f"{one.dataset}, {one.pretrain}", one.column, one.accuracy.counted()),
            *(f"{100 * one.chance:.1f}", f"{100 * one.chance_most:.1f}", one.verdict),
        ]
        for one in effects
    ]
    return [["pretraining", "column", "kNN accuracy", "chance", "chance at most", "verdict"], *rows] if rows else []
