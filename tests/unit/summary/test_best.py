"""The best pretrainings come first, whatever the data set, and the test split does not say which they are."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from simclr_steps.summary.best import best
from simclr_steps.summary.headline import Headline


def headline(dataset: str, pretrain: str, *means: float, split: str = "test") -> Headline:
    accuracy = pd.DataFrame({"series": "simclr", "mean": list(means)})
    others = pd.DataFrame({"series": ["pixels"], "mean": [0.99]})
    nothing = pd.DataFrame()
    tables = pd.concat([others, accuracy]), nothing, nothing, nothing
    return Headline(dataset, pretrain, split, None, None, *tables, [], [], "", "")


def test_the_best_of_each_data_set_and_split_come_before_any_second() -> None:
    several = [
        headline("cells", "a", 0.3, 0.5, 0.9),
        headline("cells", "b", 0.1, 0.7, 0.8),
        headline("cells", "c"),
        headline("photos", "a", 0.2),
        headline("cells", "d", 0.9, split="validation"),
    ]
    assert best(several, 4) == ["cells, b", "photos, a", "cells, d", "cells, a"]


def test_the_test_split_chooses_nothing_where_there_is_a_hold_out() -> None:
    one, other = (headline("cells", name, accuracy) for name, accuracy in (("a", 0.9), ("b", 0.1)))
    on_hold_out = (replace(one, hold_out=other.accuracy), replace(other, hold_out=one.accuracy))
    assert best(on_hold_out, 2) == ["cells, b", "cells, a"]
