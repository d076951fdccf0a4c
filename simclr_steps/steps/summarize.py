"""Collect the results of all runs: one tidy table, a headline, plots and a page."""

from __future__ import annotations

from pathlib import Path

from simclr_steps.files import whole_file, write_json, write_text
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.settings.runs import SummarySettings
from simclr_steps.summary.collected import COLUMNS, collect
from simclr_steps.summary.markdown import as_markdown
from simclr_steps.summary.notes import grave
from simclr_steps.summary.origin import origin
from simclr_steps.summary.written_page import write_page


def summarize(
    settings: SummarySettings,
    *,
    results: Path,
    resources: Path,
    benchmarks: Path | None = None,
    out: Path,
    config: str = "",
) -> None:
    """Read the results of the runs in `settings`, and their data below `resources`, and write their summary.

    Writes into `out`: summary.csv (one row for each run, stage, input, number of labels, draw, split and metric;
    `input` is the probe's input, the fine-tuning's name or UMAP's layer; an accuracy comes with the number of judged
    images (of a balanced one: of the images of a balanced set that tells as much) and its 95 % interval, by bootstrap
    over the judged `groups` where images have any), summary.md (the headline), summary.html (all on one page; of more
    than `most_in_full` data sets and pretrainings the best, with links to the pages of all runs), and in summary/
    run.json and, as PNG and SVG, label_efficiency, history and monitors; confusion, mistakes and finetune_history
    where classifiers were trained, and sweep where a grid was.
    Log and page name the trainings that failed, the `config` and what `results` holds of runs that are not in
    `settings`, and the page what the steps cost, as far as there are Snakemake's files below `benchmarks`.
    """
    record = Record("summarize", settings, None)
    found = collect(settings, results, resources)
    whose = origin(settings.runs, results, config)
    with whole_file(out / "summary.csv") as partial:
        found.table[COLUMNS].to_csv(partial, index=False)
    told = found.answers, found.headlines, found.differences, found.effects, found.notes, found.boards
    write_text(out / "summary.md", as_markdown(whose, *told))
    write_page(found, out / "summary.html", out / "summary", kinds=["png", "svg"], whose=whose, benchmarks=benchmarks)
    write_json(out / "summary" / "run.json", record.finish())
    for line in grave(found.notes):
        log.warning("warning: %s", line)
    for line in whose:
        log.info("%s", line)
    log.info("runs: %d, figures: %d, page: %s", len(found.runs), len(found.table), out / "summary.html")
