"""All that is known of the runs of a summary, before it is written down."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from simclr_steps.data.packed import Description, read_description
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.runs import SummarySettings
from simclr_steps.summary.answer import Answer, answers
from simclr_steps.summary.balance import uncluttered
from simclr_steps.summary.batch_effects import BatchEffect, batch_effects
from simclr_steps.summary.best import ranked
from simclr_steps.summary.cautions import cautions
from simclr_steps.summary.compared import compared, paired, uncompared
from simclr_steps.summary.headline import Headline, group
from simclr_steps.summary.leaderboard import Leaderboard, leaderboards
from simclr_steps.summary.notes import Note, Weight
from simclr_steps.summary.reading import read_run
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.tables import Table
from simclr_steps.summary.verdicts import verdicts

COLUMNS = ["dataset", "pretrain", "seed", "stage", "input", "labels", "draw", "split", "metric", "value"]
COLUMNS += ["images", "low", "high"]  # of an accuracy: how many images it is of, and the interval that this leaves
COLUMNS += ["groups", "label_groups", "budget"]  # those judged, those of the labels, and `{groups: n}` as written


@dataclass(frozen=True)
class Collected:
    """The results of runs, and what they come to."""

    settings: SummarySettings
    results: Path
    resources: Path
    runs: list[RunResults]
    descriptions: dict[str, Description]  # of the data sets, by name
    table: pd.DataFrame  # tidy rows: those of summary.csv, with what is compared as `series`
    shown: pd.DataFrame  # the same without what only clutters tables
    headlines: list[Headline]
    ranked: list[str]  # the headlines' titles, the best first
    answers: list[Answer]
    differences: dict[str, Table]  # the paired ones, by the headlines' titles
    effects: list[BatchEffect]
    boards: list[Leaderboard]
    notes: list[Note]

    @property
    def in_full(self) -> list[str]:
        """Return the titles of what a page shows in full, the best first."""
        return self.ranked[: self.settings.most_in_full]

    def only(self, titles: Collection[str]) -> Collected:
        """Return the same with the runs and rows, but not the sentences, of some data sets and pretrainings only."""
        chosen = self.table["dataset"].str.cat(self.table["pretrain"], sep=", ").isin(list(titles))
        runs = [run for run in self.settings.runs if run.title in titles]
        return replace(
            self,
            settings=self.settings.model_copy(update={"runs": runs}),
            runs=[run for run in self.runs if run.run.title in titles],
            table=self.table[chosen],
        )


def collect(settings: SummarySettings, results: Path, resources: Path) -> Collected:
    """Read the runs in `settings` below `results`, and what their data sets are, below `resources`.

    Raises
    ------
    UserError
        When there are no runs, when one has no results, or when a file is damaged.
    """
    if not settings.runs:
        raise UserError("runs: there are no runs to summarize: add one")
    asked = {"explored": settings.explored, "galleries": settings.pictures}
    runs = [read_run(run, results, settings.metadata, **asked) for run in settings.runs]
    descriptions = {run.dataset: read_description(resources / run.dataset) for run in settings.runs}
    table = pd.DataFrame([row for run in runs for row in run.rows], columns=[*COLUMNS, "series", "by_group"])
    table = table.astype(dict.fromkeys(["labels", "draw", "images", "groups", "label_groups"], "Int64"))
    shown = uncluttered(table, descriptions)
    headlines = group(shown)
    effects = list(batch_effects(table))
    return Collected(
        settings=settings,
        results=results,
        resources=resources,
        runs=runs,
        descriptions=descriptions,
        table=table,
        shown=shown,
        headlines=headlines,
        ranked=ranked(headlines),
        answers=answers(headlines, runs),
        differences={one.title: cells for one in headlines if (cells := paired(one, runs))},
        effects=effects,
        boards=list(leaderboards(settings.runs, table)),
        notes=[
            *verdicts(headlines, runs),
            *compared(runs, headlines),
            *cautions(headlines, descriptions, runs),
            *(one.note() for one in effects),
            *(Note(Weight.UNMEASURED, note, run.run.dataset) for run in runs for note in run.notes),
            *uncompared(table),
        ],
    )
