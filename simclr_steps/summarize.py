"""Collect the results of all runs: one tidy table, a headline, two plots and a page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from simclr_steps.confusion import draw_confusions
from simclr_steps.curves import Histories, history, label_efficiency
from simclr_steps.errors import UserError
from simclr_steps.files import whole_file, write_text
from simclr_steps.headline import as_markdown, group
from simclr_steps.logs import log
from simclr_steps.page import page
from simclr_steps.plots import save
from simclr_steps.run_results import RunResults, read_run
from simclr_steps.settings import SummarySettings
from simclr_steps.sweeps import draw_sweeps

COLUMNS = ["dataset", "pretrain", "seed", "stage", "input", "labels", "draw", "split", "metric", "value"]


def summarize(settings: SummarySettings, *, results: Path, out: Path) -> None:
    """Read the results of the runs in `settings` and write their summary.

    Writes into `out`: summary.csv (one row for each run, stage, input, number of labels, draw, split and metric;
    `input` is the probe's input, the fine-tuning's name or UMAP's layer), summary.md (the headline),
    summary.html (all on one page), and in summary/, as PNG and SVG, label_efficiency and
    history, confusion where classifiers were trained, and sweep where a grid was.
    """
    if not settings.runs:
        raise UserError("runs: there is no run to summarise: name one")
    runs = [read_run(run, results) for run in settings.runs]
    table = pd.DataFrame([row for run in runs for row in run.rows], columns=[*COLUMNS, "series"])
    table = table.astype({"labels": "Int64", "draw": "Int64"})
    with whole_file(out / "summary.csv") as partial:
        table[COLUMNS].to_csv(partial, index=False)
    headlines = group(table)
    histories: Histories = {}
    for run in runs:
        histories.setdefault(f"{run.run.dataset}, {run.run.pretrain}", {})[run.run.seed] = run.history
    figures = {"label_efficiency": label_efficiency(headlines), "history": history(histories)}
    if any(run.finetunes for run in settings.runs):
        figures["confusion"] = draw_confusions(_confusions(runs))
    if any(run.grid for run in settings.runs):
        figures["sweep"] = draw_sweeps(settings.runs, table)
    for name, figure in figures.items():
        save(figure, out / "summary" / name)
    notes = dict.fromkeys(f"{run.run.dataset}: {note}" for run in runs for note in run.notes)
    write_text(out / "summary.md", as_markdown(headlines, list(notes)))
    write_text(out / "summary.html", page(headlines, runs, {name: out / "summary" / f"{name}.svg" for name in figures}))
    log.info("%d runs, %d figures: %s", len(runs), len(table), out / "summary.html")


def _confusions(runs: list[RunResults]) -> dict[str, pd.DataFrame]:
    """Return the matrix of each data set, pretraining and fine-tuning, summed over the seeds."""
    sums: dict[str, pd.DataFrame] = {}
    for run in runs:
        for name, counts in run.confusions.items():
            title = f"{run.run.dataset}, {run.run.pretrain}, {name}"
            sums[title] = sums[title] + counts if title in sums else counts
    return sums
