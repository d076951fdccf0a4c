"""Collect the results of all runs: one tidy table, a headline, plots and a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from simclr_steps.data.original_files import original_files
from simclr_steps.data.packed import Description, read_description, read_images
from simclr_steps.data.splits import JUDGED
from simclr_steps.figures.alt_text import alt_text
from simclr_steps.figures.contrast import contrast_of_split
from simclr_steps.figures.plots import save, sentence
from simclr_steps.files import whole_file, write_json, write_text
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.settings.display import in_words, legend_of, mix_of
from simclr_steps.settings.runs import SummarySettings
from simclr_steps.summary.answer import answers
from simclr_steps.summary.balance import uncluttered
from simclr_steps.summary.batch_effects import batch_effects
from simclr_steps.summary.best import best
from simclr_steps.summary.cautions import cautions
from simclr_steps.summary.chance import chance
from simclr_steps.summary.compared import compared, paired, uncompared
from simclr_steps.summary.confusion import draw_confusions
from simclr_steps.summary.costs import costs
from simclr_steps.summary.curves import Histories, finetune_history, history, label_efficiency, monitors
from simclr_steps.summary.headline import group
from simclr_steps.summary.leaderboard import leaderboards
from simclr_steps.summary.losses import beside_chance
from simclr_steps.summary.markdown import as_markdown
from simclr_steps.summary.mistakes import Mistakes, as_list, draw_mistakes, surest_mistakes
from simclr_steps.summary.next_steps import next_steps
from simclr_steps.summary.notes import Note, Weight, grave
from simclr_steps.summary.origin import origin
from simclr_steps.summary.page import page
from simclr_steps.summary.predicted import as_html, predicted
from simclr_steps.summary.reading import read_run
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.sweeps import draw_sweeps
from simclr_steps.summary.verdicts import verdicts

COLUMNS = ["dataset", "pretrain", "seed", "stage", "input", "labels", "draw", "split", "metric", "value"]
COLUMNS += ["images", "low", "high"]  # of an accuracy: how many images it is of, and the interval that this leaves
COLUMNS += ["groups", "label_groups", "budget"]  # those judged, those of the labels, and `{groups: n}` as written

_OF_ACCURACY = ("label_efficiency", "sweep")


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
    over the judged `groups` where images have any), summary.md (the
    headline), summary.html (all on one page), and in summary/ run.json and, as PNG and SVG, label_efficiency, history
    and monitors; confusion, mistakes and finetune_history where classifiers were trained, and sweep where a grid was.
    Log and page name the trainings that failed, the `config` and what `results` holds of runs that are not in
    `settings`, and the page what the steps cost, as far as there are Snakemake's files below `benchmarks`.
    """
    if not settings.runs:
        raise UserError("runs: there are no runs to summarize: add one")
    record = Record("summarize", settings, None)
    asked = {"explored": settings.explored, "galleries": settings.pictures}
    runs = [read_run(run, results, settings.metadata, **asked) for run in settings.runs]
    descriptions = {run.dataset: read_description(resources / run.dataset) for run in settings.runs}
    table = pd.DataFrame([row for run in runs for row in run.rows], columns=[*COLUMNS, "series", "by_group"])
    table = table.astype(dict.fromkeys(["labels", "draw", "images", "groups", "label_groups"], "Int64"))
    with whole_file(out / "summary.csv") as partial:
        table[COLUMNS].to_csv(partial, index=False)
    shown = uncluttered(table, descriptions)
    headlines = group(shown)
    differences = {one.title: cells for one in headlines if (cells := paired(one, runs))}
    mistakes = _mistakes(settings, runs, resources, descriptions)
    figures = _figures(settings, runs, table, mistakes, descriptions)
    for name, figure in figures.items():
        save(figure, out / "summary" / name)
    whose = origin(settings.runs, results, config)
    effects = list(batch_effects(table))
    notes = [
        *verdicts(headlines, runs),
        *compared(runs, headlines),
        *cautions(headlines, descriptions, runs),
        *(one.note() for one in effects),
        *(Note(Weight.UNMEASURED, note, run.run.dataset) for run in runs for note in run.notes),
        *uncompared(table),
    ]
    # A figure without axes is a sentence that says why there is none; those of accuracies repeat the answer.
    empty = {name: figure for name, figure in figures.items() if not figure.axes}
    sentences = [" ".join(empty[name].texts[0].get_text().split()) for name in empty if name not in _OF_ACCURACY]
    of_page = [*notes, *(Note(Weight.UNMEASURED, sentence) for sentence in sentences)]
    drawn = {name: figure for name, figure in figures.items() if figure.axes}
    plots = {name: (out / "summary" / f"{name}.svg", alt_text(figure)) for name, figure in drawn.items()}
    answered, boards = answers(headlines, runs), list(leaderboards(settings.runs, table))
    write_text(out / "summary.md", as_markdown(whose, answered, headlines, differences, effects, notes, boards))
    section = as_html(list(predicted(settings, results, resources, descriptions)))
    originals = {
        f"{run.run.title}, {name}": original_files(descriptions[run.run.dataset])
        for run in runs
        for name in run.predictions
    }
    paths = as_list(mistakes, originals, out)
    first = best(headlines, 1)
    of_best = [run for run in runs if run.run.title in first]
    steps, cost = next_steps(of_best, results, resources), costs(runs, benchmarks) if benchmarks else []
    of_all = shown, effects, descriptions, plots, section, paths, boards, of_page, steps, cost, out
    write_text(out / "summary.html", page(whose, answered, headlines, differences, runs, *of_all))
    write_json(out / "summary" / "run.json", record.finish())
    for line in grave(notes):
        log.warning("warning: %s", line)
    for line in whose:
        log.info("%s", line)
    log.info("runs: %d, figures: %d, page: %s", len(runs), len(table), out / "summary.html")


def _figures(
    settings: SummarySettings,
    runs: list[RunResults],
    table: pd.DataFrame,
    mistakes: Mapping[str, Mistakes],
    descriptions: Mapping[str, Description],
) -> dict[str, Figure]:
    shares = {(name, split): chance(data, split) for name, data in descriptions.items() for split in JUDGED}
    chances = {key: share for key, share in shares.items() if share is not None}
    of_hold_out: dict[str, float] = {}  # by the titles of panels
    histories: Histories = {}
    tunings: dict[str, list[pd.DataFrame]] = {}
    for run in runs:
        dataset, title = run.run.dataset, run.run.title
        hold_out = descriptions[dataset].splits.get("validation")
        histories.setdefault(title, {})[run.run.seed] = beside_chance(run.history, hold_out.images if hold_out else 0)
        for name, epochs in run.finetune_histories.items():
            tunings.setdefault(f"{title}, {name}", []).append(epochs)
        if (dataset, "validation") in chances:
            titles = (title, *(f"{title}, {name}" for name in run.finetune_histories))
            of_hold_out |= dict.fromkeys(titles, chances[dataset, "validation"])
    figures = {
        "label_efficiency": label_efficiency(group(table), chances),
        "history": history(histories),
        "monitors": monitors(histories, of_hold_out),
    }
    if any(run.finetunes for run in settings.runs):
        figures["confusion"] = draw_confusions(_confusions(runs))
        figures["mistakes"] = (
            draw_mistakes(mistakes)
            if settings.pictures
            else sentence("Mistakes are not shown, as page.pictures is false.")
        )
        figures["finetune_history"] = finetune_history(tunings, of_hold_out)
    if any(run.grids for run in settings.runs):
        figures["sweep"] = draw_sweeps(settings.runs, table, chances)
    return figures


def _confusions(runs: list[RunResults]) -> dict[str, pd.DataFrame]:
    """Return the matrix of each data set, pretraining and fine-tuning, summed over the seeds."""
    sums: dict[str, pd.DataFrame] = {}
    for run in runs:
        for name, counts in run.confusions.items():
            title = f"{run.run.title}, {name}"
            sums[title] = sums[title] + counts if title in sums else counts
    return sums


def _mistakes(
    settings: SummarySettings, runs: list[RunResults], resources: Path, descriptions: Mapping[str, Description]
) -> dict[str, Mistakes]:
    """Return the surest mistakes of each data set, pretraining and fine-tuning, of the first seed."""
    mistakes: dict[str, Mistakes] = {}
    for run in runs:
        dataset = run.run.dataset
        form = descriptions[dataset].image_format
        mix = mix_of(settings.displays.get(dataset), form, dataset)
        for name, path in run.predictions.items():
            title = f"{dataset}, {run.run.pretrain}, {name}"
            if title not in mistakes:
                images = read_images(resources / dataset, run.run.judged_by)
                channels = in_words(legend_of(mix, form))
                # The same for each of its panels.
                contrast = contrast_of_split(images, mix, is_photo=form.is_photo)
                mistakes[title] = surest_mistakes(pd.read_parquet(path), images, mix, channels, contrast)
    return mistakes
