"""Draws what a page shows and writes it, be it that of all runs or that of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simclr_steps.data.original_files import original_files
from simclr_steps.figures.alt_text import alt_text
from simclr_steps.figures.plots import save
from simclr_steps.files import write_text
from simclr_steps.summary.collected import Collected
from simclr_steps.summary.costs import costs
from simclr_steps.summary.drawn import draw, mistakes_of
from simclr_steps.summary.mistakes import as_list
from simclr_steps.summary.next_steps import next_steps
from simclr_steps.summary.notes import Note, Weight
from simclr_steps.summary.page import page
from simclr_steps.summary.predicted import as_html, predicted

_OF_ACCURACY = ("label_efficiency", "sweep")


def write_page(
    found: Collected,
    file: Path,
    plots: Path,
    *,
    kinds: Sequence[str],
    whose: Sequence[str] = (),
    benchmarks: Path | None = None,
    summary: Path | None = None,
) -> None:
    """Write a page with the best of the runs in full, and its plots into a folder, as files of some `kinds`.

    `whose` are sentences on what it is a page of; `benchmarks` holds Snakemake's benchmark files, for the costs. The
    page of a run names that of all, its `summary`.
    """
    of_shown = found.only(found.in_full)
    mistakes = mistakes_of(of_shown)
    figures = draw(found, of_shown, mistakes)
    for name, figure in figures.items():
        save(figure, plots / name, kinds)
    # A figure without axes is a sentence that says why there is none; those of accuracies repeat the answer.
    empty = {name: figure for name, figure in figures.items() if not figure.axes}
    sentences = [" ".join(empty[name].texts[0].get_text().split()) for name in empty if name not in _OF_ACCURACY]
    drawn = {name: (plots / f"{name}.svg", alt_text(figure)) for name, figure in figures.items() if figure.axes}
    originals = {
        f"{run.run.title}, {name}": original_files(found.descriptions[run.run.dataset])
        for run in of_shown.runs
        for name in run.predictions
    }
    of_best = [run for run in found.runs if run.run.title in found.in_full[:1]]
    text = page(
        found,
        whose=whose,
        plots=drawn,
        predicted=as_html(list(predicted(of_shown.settings, found.results, found.resources, found.descriptions))),
        mistakes=as_list(mistakes, originals, file.parent),
        notes=[*found.notes, *(Note(Weight.UNMEASURED, sentence) for sentence in sentences)],
        steps=next_steps(of_best, found.results, found.resources),
        cost=costs(found.runs, benchmarks) if benchmarks else [],
        folder=file.parent,
        summary=summary,
    )
    write_text(file, text)
