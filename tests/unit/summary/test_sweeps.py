from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from simclr_steps.settings.config import read_config
from simclr_steps.settings.plan import plan
from simclr_steps.settings.runs import Run
from simclr_steps.summary.sweeps import draw_sweeps

TEMPERATURES = [0.1, 0.5, 1.0]


def runs(*experiments: dict[str, Any]) -> list[Run]:
    """Return the runs of some experiments on the digits, as the workflow plans them."""
    blocks: dict[str, Any] = {
        "datasets": {name: {"source": "digits"} for name in ("digits", "other")},
        "pretrains": {"simclr": {"temperature": 0.5, "epochs": 1}},
        "finetunes": {"tuned": {}, "scratch": {"init": "random"}},
    }
    named = [{"dataset": "digits", "pretrain": "simclr"} | experiment for experiment in experiments]
    return list(plan(read_config(blocks | {"experiments": named})).runs)


def rows(of: list[Run], split: str = "validation") -> pd.DataFrame:
    """Return rows whose accuracies tell seed and temperature."""
    columns = ["dataset", "pretrain", "seed", "stage", "input", "series", "labels", "split", "metric", "value"]
    found: list[tuple[Any, ...]] = []
    for run in of:
        temperature = next((one.values["temperature"] for one in run.grids if "temperature" in one.values), 0.5)
        value = temperature / 2 + run.seed / 10
        key = (run.dataset, run.pretrain, run.seed)
        for labels in (10, 100):
            found.append((*key, "linear", "simclr", "simclr", labels, split, "accuracy", value))
        found.append((*key, "knn", "simclr", None, None, split, "accuracy", 0.9))
        found.append((*key, "linear", "pixels", "pixels", 10, split, "accuracy", 0.0))
        for name in run.finetunes:
            series = "finetune-random" if name == "scratch" else "finetune-pretrained"
            found.append((*key, "finetune", name, series, 50, split, "accuracy", 0.6))
    return pd.DataFrame(found, columns=columns).astype({"labels": "Int64"})


def ticks(figure: Figure) -> list[tuple[str, list[str]]]:
    return [(axes.get_xlabel(), [text.get_text() for text in axes.get_xticklabels()]) for axes in figure.axes]


def test_each_key_has_a_panel_and_each_number_of_labels_a_line_of_means() -> None:
    grid = {"epochs": [1, 2], "temperature": TEMPERATURES}
    swept = runs({"seeds": [0, 1], "grid": grid, "finetunes": ["tuned", "scratch"]})
    measured = rows(swept)
    of_pixels = measured[measured["input"] == "pixels"].iloc[:1]
    elsewhere = of_pixels.assign(pretrain="given", input="start", series="start", value=0.99)
    figure = draw_sweeps(swept, pd.concat([measured, elsewhere]), {("digits", "validation"): 0.11})
    assert ticks(figure) == [("epochs", ["1", "2"]), ("temperature", ["0.1", "0.5", "1.0"])]
    axes = figure.axes[1]
    names = axes.get_legend_handles_labels()[1]
    lines = ["10 labels", "100 labels", "kNN, all labels", "fine-tuned: tuned, 50 labels"]
    assert names == ["10 labels, raw pixels", "chance", *lines]
    np.testing.assert_allclose(np.asarray(axes.containers[0][0].get_ydata(), dtype=float), [10, 30, 55])
    assert axes.get_title() == "digits, simclr"
    free, by_chance = axes.lines[-2:]
    assert [np.asarray(line.get_ydata(), dtype=float)[0] for line in (free, by_chance)] == [0, 11]
    assert free.get_color() == axes.containers[0][0].get_color(), "that of the line of as many labels"


def test_a_run_that_a_plain_experiment_shares_keeps_its_place_in_the_grid() -> None:
    swept = runs({}, {"grid": {"temperature": TEMPERATURES}})
    assert len(swept) == 3
    assert ticks(draw_sweeps(swept, rows(swept), {})) == [("temperature", ["0.1", "0.5", "1.0"])]


def test_two_grids_share_a_combination_and_each_keeps_its_own_values() -> None:
    swept = runs({"grid": {"temperature": TEMPERATURES}}, {"grid": {"learning_rate": [0.03, 0.1]}})
    assert len(swept) == 4
    assert ticks(draw_sweeps(swept, rows(swept), {})) == [
        ("temperature", ["0.1", "0.5", "1.0"]),
        ("learning_rate", ["0.03", "0.1"]),
    ]


def test_accuracies_are_those_of_the_hold_out_also_of_a_winner_that_has_read_the_test_split() -> None:
    swept = runs({"grid": {"temperature": TEMPERATURES}})
    table = pd.concat([rows(swept), rows(swept[:1], "test").assign(value=1.0)], ignore_index=True)
    [axes] = draw_sweeps(swept, table, {}).axes
    assert axes.get_ylabel() == "hold-out accuracy in %"
    np.testing.assert_allclose(np.asarray(axes.containers[0][0].get_ydata(), dtype=float), [5, 25, 50])


@pytest.mark.parametrize(("values", "says"), [([0.1, 0.5], "requires labels"), ([0.1], "more than one value")])
def test_a_sweep_with_nothing_to_show_says_why(values: list[float], says: str) -> None:
    swept = runs({"grid": {"temperature": values}})
    table = rows(swept)
    figure = draw_sweeps(swept, table if len(values) == 1 else table[:0], {})
    assert not figure.axes
    assert says in " ".join(figure.texts[0].get_text().split())
