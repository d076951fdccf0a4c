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


def run(pretrain: str, seed: int, labels: int = 20, **right: int) -> RunResults:
    """Return a run whose inputs are `right` about some of 100 images, with this number of labels."""
    one = RunResults(Run(dataset="digits", pretrain=pretrain, seed=seed, finetunes=[]))
    for name, count in right.items():
        one.correct[name] = Correct({(str(labels), 0): np.arange(100) < count}, None)
        one.add("linear", "accuracy", count / 100, input=name, series=name, labels=labels, draw=0, split="test")
    one.add("pretrain", "epochs", 1)
    one.add("pretrain", "seconds", 1)
    one.add("pretrain", "images_per_second", 1)
    return one


def test_the_first_pretraining_is_better_or_worse_than_each_encoder() -> None:
    best = [run("best", 0, simclr=90, pixels=60), run("best", 1, simclr=80, pixels=60)]
    other = [run("other", 1, simclr=70), run("other", 2, simclr=100)]
    apart = [run("apart", 3, simclr=70)]
    named = [run("pixels", 0, simclr=85)]
    runs = (*best, *other, *apart, *named)
    rows = pd.DataFrame([row for one in runs for row in one.rows], columns=[*COLUMNS, "series", "by_group"])
    seeds = {"digits, best": best, "digits, other": other, "digits, apart": apart, "digits, pixels": named}
    table = side_by_side(group(rows), seeds)
    assert table[0] == ["best minus", "20 labels"]
    assert [row[0] for row in table[1:]] == ["other", "apart", "pixels", "raw pixels"]
    assert table[2][1] == "no seed in common"
    (first, *_), (third, *_), (last, *_) = (table[number][1].split() for number in (1, 3, 4))
    assert (first, third, last) == ("+10.0", "+5.0", "+25.0") and "[+" in table[1][1]
    assert side_by_side(group(rows)[1:2], {"digits, other": other}) == []


def test_numbers_of_labels_above_a_thousand_are_compared_too() -> None:
    runs = [run("best", 0, 1290, simclr=90), run("other", 0, 1290, simclr=70)]
    rows = pd.DataFrame([row for one in runs for row in one.rows], columns=[*COLUMNS, "series", "by_group"])
    header, of_other = side_by_side(group(rows), {"digits, best": runs[:1], "digits, other": runs[1:]})
    assert header == ["best minus", "1,290 labels"] and of_other[1].startswith("+20.0 [+")
