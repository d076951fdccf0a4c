from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from simclr_steps.settings import Run
from simclr_steps.sweeps import draw_sweeps

GRID = [{"epochs": epochs, "temperature": temperature} for epochs in (1, 2) for temperature in (0.1, 0.5, 1.0)]


def runs() -> list[Run]:
    named = [(f"simclr-epochs={one['epochs']}-temperature={one['temperature']}", one) for one in GRID]
    return [Run(dataset="digits", pretrain=n, seed=s, finetunes=[], grid=g) for n, g in named for s in (0, 1)]


def rows(accuracies: bool = True) -> pd.DataFrame:
    columns = ["dataset", "pretrain", "seed", "stage", "series", "labels", "split", "metric", "value"]
    found: list[tuple[Any, ...]] = []
    for run in runs() if accuracies else []:
        value = run.grid["temperature"] / 2 + run.seed / 10
        for labels in (10, 100):
            found.append(("digits", run.pretrain, run.seed, "linear", "simclr", labels, "test", "accuracy", value))
        found.append(("digits", run.pretrain, run.seed, "knn", None, None, "test", "accuracy", 0.9))
        found.append(("digits", run.pretrain, run.seed, "linear", "pixels", 10, "test", "accuracy", 0.0))
    return pd.DataFrame(found, columns=columns).astype({"labels": "Int64"})


def test_each_key_has_a_panel_and_each_number_of_labels_a_line_of_means() -> None:
    figure = draw_sweeps(runs(), rows())
    assert [axes.get_xlabel() for axes in figure.axes] == ["epochs", "temperature"]
    axes = figure.axes[1]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.1", "0.5", "1.0"]
    names = axes.get_legend_handles_labels()[1]
    assert names == ["10 labels", "100 labels", "kNN, all labels"]
    np.testing.assert_allclose(np.asarray(axes.containers[0][0].get_ydata(), dtype=float), [10, 30, 55])
    assert axes.get_title() == "digits, simclr"


def test_a_sweep_without_labels_makes_a_sentence() -> None:
    figure = draw_sweeps(runs(), rows(accuracies=False))
    assert not figure.axes
    assert "takes labels" in figure.texts[0].get_text()
