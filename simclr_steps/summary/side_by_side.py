"""The encoders of one data set side by side: by how much the best is better than the next ones and than baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simclr_steps.summary.budgets import budgets, in_order, written
from simclr_steps.summary.compared import beside, budget_of, points
from simclr_steps.summary.headline import SERIES, Headline
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.tables import Table

# Pretrainings, the best first: with 1,000 groups of images each number of labels of one takes a fifth of a second.
_MOST = 20


def side_by_side(headlines: Sequence[Headline], seeds: Mapping[str, Sequence[RunResults]]) -> Table:
    """Return by how much the features of the first pretraining are better than those of others, in points.

    Takes pretrainings that are judged on the same images, the best first, and the runs of each by its title. A header,
    then a row for each of the next ones and for what the first one's runs are compared with; a column for each number
    of labels. Of pretrainings the seeds that both have are compared, and a row says where there are none. Nothing where
    there is nothing to compare.
    """
    first, *rest = headlines[:_MOST]
    own = seeds[first.title]
    by_seed = {run.run.seed: run for run in own}
    tried = [first.accuracy[budgets(first.accuracy) == label] for label in in_order(first.accuracy)]
    keys = [budget_of(rows.iloc[0].to_dict()) for rows in tried]
    rows: Table = []
    for other in rest:
        both = [(by_seed[run.run.seed], run) for run in seeds[other.title] if run.run.seed in by_seed]
        pairs = [(one.correct.get("simclr"), run.correct.get("simclr")) for one, run in both]
        differences = [points(pairs, key) if both else "no seed in common" for key in keys]
        rows.append([other.pretrain, *differences])
    for name in dict.fromkeys(name for run in own for name in run.correct if name != "simclr"):
        of_both = beside(own, name)
        rows.append([SERIES.get(name, name), *(points(of_both, key) for key in keys)])
    rows = [row for row in rows if any(row[1:])]
    return [[f"{first.pretrain} minus", *(f"{written(one)} labels" for one in tried)], *rows] if rows else []
