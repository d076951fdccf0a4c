"""Where balanced accuracy is worth its place on the page: where classes differ in size, or it differs from accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from simclr_steps.data.packed import Description
from simclr_steps.summary.headline import shown_split
from simclr_steps.summary.parents import METRICS

_UNEQUAL = 1.5  # times as many images as the smallest class of the judged split
_VISIBLE = 0.02  # between the two accuracies, of one measure


def uncluttered(table: pd.DataFrame, descriptions: Mapping[str, Description]) -> pd.DataFrame:
    """Return tidy rows without the balanced accuracies of data sets where these would only repeat the accuracies."""
    names = [name for name, rows in table.groupby("dataset") if not _is_shown(rows, descriptions[str(name)])]
    return table[~(table["dataset"].isin(names) & table["metric"].str.startswith("balanced_"))]


def _is_shown(rows: pd.DataFrame, data: Description) -> bool:
    split = shown_split(rows)
    counts = [count for count in data.splits[split].per_class if count] if split in data.splits else []
    if counts and max(counts) > _UNEQUAL * min(counts):
        return True
    here = rows[rows["split"] == split]
    means = here.groupby(["metric", "pretrain", "stage", "input"])["value"].mean()
    of_metric = {str(metric): part.droplevel("metric") for metric, part in means.groupby("metric")}
    for pair in (METRICS, METRICS.values()):
        accuracy, balanced = (of_metric.get(metric) for metric in pair)
        if accuracy is not None and balanced is not None and ((accuracy - balanced).abs() > _VISIBLE).any():
            return True
    return False
