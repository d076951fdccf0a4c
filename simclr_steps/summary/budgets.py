"""Budgets of labels in tables: which results share one, and how it is written."""

from __future__ import annotations

from typing import Any

import pandas as pd


def budgets(rows: pd.DataFrame) -> pd.Series[str]:
    """Return what tells the budget of each row: the number of labels, or `{groups: n}`, whose draws differ in it."""
    given, labels = (rows[name].tolist() if name in rows else [None] * len(rows) for name in ("budget", "labels"))
    # Row by row, as pandas takes longer to begin than so few rows take.
    told = [_told(one, count) for one, count in zip(given, labels, strict=True)]
    return pd.Series(told, index=rows.index, name="budget", dtype=object)


def _told(given: Any, labels: Any) -> str | None:
    if pd.notna(given):
        return str(given)
    return str(labels) if pd.notna(labels) else None


def in_order(rows: pd.DataFrame) -> list[str]:
    """Return the budgets of rows by their mean number of labels, rising; rows without one are left out."""
    of_each = rows["labels"].astype("Float64").groupby(budgets(rows)).mean()
    return of_each.dropna().sort_values(kind="stable").index.tolist()


def written(rows: pd.DataFrame) -> str:
    """Return one budget with mean numbers: "50", "50 (12 groups)" where images have groups, or "{groups: 3} (57.5)"."""
    given = rows.reindex(columns=["budget", "labels", "label_groups"])
    labels, groups = _number(given["labels"].mean()), given["label_groups"].mean()
    if given["budget"].notna().any():
        return f"{given['budget'].iloc[0]} ({labels})"
    return labels if pd.isna(groups) else f"{labels} ({_number(groups)} group{'s' * bool(groups != 1)})"


def _number(mean: float) -> str:
    return f"{mean:,.1f}".removesuffix(".0")
