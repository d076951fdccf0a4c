"""The best pretrainings come first, whatever the data set, and the test split does not say which they are."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from simclr_steps.summary.best import order, ranked, unranked
from simclr_steps.summary.headline import Headline


def headline(dataset: str, pretrain: str, *means: float, split: str = "test") -> Headline:
    """Return that of a pretraining with these accuracies on the hold-out, which the test split contradicts."""
    others = pd.DataFrame({"series": ["pixels"], "mean": [0.99]})
    hold_out = pd.concat([others, pd.DataFrame({"series": "simclr", "mean": list(means)})])
    nothing = hold_out.iloc[:0]
    on_test = hold_out.assign(mean=1 - hold_out["mean"])
    tables = (on_test, hold_out) if split == "test" else (hold_out, nothing)
    return Headline(dataset, pretrain, split, None, None, *tables, nothing, nothing, [], [], "", "")


def test_the_best_of_each_data_set_comes_before_any_second_whatever_split_judges_it() -> None:
    several = [
        headline("cells", "a", 0.3, 0.5, 0.9),
        headline("cells", "b", 0.1, 0.7, 0.8),
        headline("cells", "c"),
        headline("photos", "a", 0.2),
        headline("cells", "d", 0.9, split="validation"),
    ]
    assert ranked(several)[:4] == ["cells, d", "photos, a", "cells, b", "cells, a"]


def test_where_only_the_test_split_has_accuracies_nothing_is_chosen_by_them() -> None:
    several = [headline("cells", "a", 0.9), headline("cells", "b", 0.1), headline("photos", "a", 0.1)]
    assert ranked(several)[:2] == ["cells, a", "photos, a"] and unranked(several) == []
    several = [replace(one, hold_out=one.hold_out.iloc[:0]) for one in several]
    assert ranked(several) == ["cells, a", "photos, a", "cells, b"], "in the config's order"
    assert unranked(several) == ["cells"], "one pretraining by itself needs no rank"


def test_words_say_what_comes_first_also_where_one_data_set_is_ranked_and_another_is_not() -> None:
    cells, photos = ([headline(name, "a", 0.9), headline(name, "b", 0.1)] for name in ("cells", "photos"))
    unknown = [replace(one, hold_out=one.hold_out.iloc[:0]) for one in cells]
    assert order([*cells, *photos]) == "the best"
    assert order([*unknown, *photos]) == "the best and, for cells, the first in the config"
    assert order(unknown) == order([*unknown, photos[0]]) == "the first in the config"
    assert order([cells[0], photos[0]]) == "the first in the config", "nothing is compared over data sets"
