from __future__ import annotations

import pandas as pd

from simclr_steps.settings.plan import Run
from simclr_steps.summary.batch_effects import batch_effects
from simclr_steps.summary.run_results import RunResults


def of_runs(*accuracies: float, chance: float = 0.12, chance_most: float = 0.15) -> pd.DataFrame:
    rows = []
    for seed, accuracy in enumerate(accuracies):
        run = RunResults(Run(dataset="cells", pretrain="simclr", seed=seed, finetunes=[]))
        run.add("metadata", "accuracy", accuracy, images=400, input="plate")
        run.add("metadata", "chance", chance, input="plate")
        run.add("metadata", "chance_most", chance_most, input="plate")
        rows += run.rows
    return pd.DataFrame(rows, columns=[*rows[0], "by_group"])


def test_a_column_that_is_predicted_is_called_a_batch_effect() -> None:
    assert batch_effects(of_runs(0.71)) == [
        "cells, simclr: plate is predicted at 71.0 [66.4, 75.2] % by the nearest neighbors of images, where chance is "
        "12.0 %: a batch effect, unless plate is what images differ by."
    ]
    assert "71.0 ± 1.4 [66.4, 75.2] (2) %" in batch_effects(of_runs(0.70, 0.72))[0]


def test_a_column_at_chance_is_said_to_be() -> None:
    (line,) = batch_effects(of_runs(0.13))
    assert line.endswith("which cannot be distinguished from chance, 12.0 % (up to 15.0 % by shuffled values).")
    assert "a batch effect" not in batch_effects(of_runs(0.2, chance_most=0.18))[0], "shuffles reach nearly as much"
    assert batch_effects(of_runs(0.13)[:0]) == []
