"""The encoders of one data set are compared with its best pretraining, on the same images, seeds and draws."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simclr_steps.data.correct import Correct
from simclr_steps.settings.runs import Run
from simclr_steps.summary.collected import COLUMNS
from simclr_steps.summary.headline import group
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.side_by_side import side_by_side


def run(pretrain: str, seed: int, **right: int) -> RunResults:
    """Return a run of which each input is right about so many of 100 images, with 20 labels."""
    one = RunResults(Run(dataset="digits", pretrain=pretrain, seed=seed, finetunes=[]))
    for name, count in right.items():
        one.correct[name] = Correct({("20", 0): np.arange(100) < count}, None)
        one.add("linear", "accuracy", count / 100, input=name, series=name, labels=20, draw=0, split="test")
    one.add("pretrain", "epochs", 1)
    one.add("pretrain", "seconds", 1)
    one.add("pretrain", "images_per_second", 1)
    return one


def test_each_encoder_is_less_or_more_than_the_first_pretraining() -> None:
    best = [run("best", 0, simclr=90, pixels=60), run("best", 1, simclr=80, pixels=60)]
    other = [run("other", 1, simclr=70), run("other", 2, simclr=100)]
    rows = pd.DataFrame([row for one in (*best, *other) for row in one.rows], columns=[*COLUMNS, "series", "by_group"])
    table = side_by_side(group(rows), {"digits, best": best, "digits, other": other})
    assert table[0] == ["minus best", "20 labels"]
    assert [[row[0], row[1].split()[0]] for row in table[1:]] == [["other", "-10.0"], ["raw pixels", "-25.0"]]
    assert "[-1" in table[1][1]
    assert side_by_side(group(rows)[1:], {"digits, other": other}) == []
