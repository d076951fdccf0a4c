"""The encoders of one data set side by side: by how much each differs from the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simclr_steps.summary.budgets import budgets, in_order, written
from simclr_steps.summary.compared import Pair, budget_of, points
from simclr_steps.summary.headline import SERIES, Headline
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.tables import Table


def side_by_side(headlines: Sequence[Headline], seeds: Mapping[str, Sequence[RunResults]]) -> Table:
    """Return by how much the features of each encoder differ from those of the first pretraining, in points.

    Takes pretrainings that are judged on the same images, and the runs of each by its title. A header, then a row for
    each of the others and for what the first one's runs are compared with; a column for each number of labels. Of
    pretrainings the seeds that both have are compared. Nothing where there is nothing to compare.
    """
    first, *rest = headlines
    own = seeds[first.title]
    by_seed = {run.run.seed: run for run in own}
    pairs: dict[str, list[Pair]] = {
        other.pretrain: [
            (run.correct.get("simclr"), by_seed[run.run.seed].correct.get("simclr"))
            for run in seeds[other.title]
            if run.run.seed in by_seed
        ]
        for other in rest
    }
    measured = dict.fromkeys(name for run in own for name in run.correct if name != "simclr")
    pairs |= {
        SERIES.get(name, name): [(run.correct.get(name), run.correct.get("simclr")) for run in own] for name in measured
    }
    tried = [first.accuracy[budgets(first.accuracy) == label] for label in in_order(first.accuracy)]
    keys = [budget_of(rows.iloc[0].to_dict()) for rows in tried]
    rows = [[name, *(points(of_both, key) for key in keys)] for name, of_both in pairs.items()]
    rows = [row for row in rows if any(row[1:])]
    return [["minus " + first.pretrain, *(f"{written(one)} labels" for one in tried)], *rows] if rows else []
