"""Draws the plots of a summary, and of a run's page."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from simclr_steps.data.packed import read_images
from simclr_steps.data.splits import JUDGED
from simclr_steps.figures.contrast import contrast_of_split
from simclr_steps.figures.plots import say_above, sentence
from simclr_steps.settings.display import in_words, legend_of, mix_of
from simclr_steps.settings.prediction import mistakes_name
from simclr_steps.summary.best import order
from simclr_steps.summary.chance import chance
from simclr_steps.summary.collected import Collected
from simclr_steps.summary.confusion import draw_confusions
from simclr_steps.summary.curves import Histories, finetune_history, history, label_efficiency, monitors
from simclr_steps.summary.headline import group
from simclr_steps.summary.losses import beside_chance
from simclr_steps.summary.mistakes import Mistakes, draw_mistakes, surest_mistakes
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.sweeps import draw_sweeps


def draw(found: Collected, shown: Collected, mistakes: Mapping[str, Mistakes]) -> dict[str, Figure]:
    """Return the plots by name: of what is `shown` of all that was found, and of all grids.

    Where there are others, each plot says so. A figure without axes is a sentence that says why there is no plot.
    """
    runs, descriptions = shown.runs, found.descriptions
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
        "label_efficiency": label_efficiency(group(shown.table), chances),
        "history": history(histories),
        "monitors": monitors(histories, of_hold_out),
    }
    if any(run.finetunes for run in shown.settings.runs):
        figures["confusion"] = draw_confusions(_confusions(runs))
        figures["mistakes"] = (
            draw_mistakes(mistakes)
            if found.settings.pictures
            else sentence("Mistakes are not shown, as page.pictures is false.")
        )
        figures["finetune_history"] = finetune_history(tunings, of_hold_out)
    pretrainings = {run.run.title for run in runs}
    if len(pretrainings) < len(found.headlines):
        for figure in figures.values():
            if figure.axes:
                say_above(
                    figure, f"{len(pretrainings)} of {len(found.headlines)} pretrainings: {order(found.headlines)}"
                )
    if any(run.grids for run in found.settings.runs):
        figures["sweep"] = draw_sweeps(found.settings.runs, found.table, chances)
    return figures


def _confusions(runs: list[RunResults]) -> dict[str, pd.DataFrame]:
    """Return the matrix of each data set, pretraining and fine-tuning, summed over the seeds."""
    sums: dict[str, pd.DataFrame] = {}
    for run in runs:
        for name, counts in run.confusions.items():
            title = f"{run.run.title}, {name}"
            sums[title] = sums[title] + counts if title in sums else counts
    return sums


def mistakes_of(found: Collected) -> dict[str, Mistakes]:
    """Return the surest mistakes of each data set, pretraining and fine-tuning, of the first seed."""
    settings, resources, descriptions = found.settings, found.resources, found.descriptions
    mistakes: dict[str, Mistakes] = {}
    for run in found.runs:
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
                table = path.with_name(mistakes_name(run.run.judged_by))
                rows = pd.read_csv(table, usecols=["row"])["row"].to_numpy(dtype=np.int64)
                mistakes[title] = surest_mistakes(pd.read_parquet(path), rows, images, mix, channels, contrast)
    return mistakes
