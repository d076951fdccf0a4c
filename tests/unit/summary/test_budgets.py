from __future__ import annotations

import pandas as pd

from simclr_steps.summary.budgets import budgets, in_order, written

ROWS = pd.DataFrame(
    [
        {"labels": 100, "label_groups": 12.0},
        {"labels": 9, "label_groups": 4.0},
        {"labels": 60, "label_groups": 3.0, "budget": "{groups: 3}"},
        {"labels": 55, "label_groups": 3.0, "budget": "{groups: 3}"},
        {"labels": None},
    ]
).astype({"labels": "Int64"})


def test_draws_of_whole_groups_share_a_budget_though_their_numbers_of_labels_differ() -> None:
    assert budgets(ROWS).tolist()[:4] == ["100", "9", "{groups: 3}", "{groups: 3}"]
    assert pd.isna(budgets(ROWS).iloc[4])


def test_budgets_rise_with_their_mean_number_of_labels() -> None:
    assert in_order(ROWS) == ["9", "{groups: 3}", "100"]


def test_a_budget_is_written_with_its_groups_or_its_mean_number_of_labels() -> None:
    assert written(ROWS[:1]) == "100 (12 groups)"
    assert written(ROWS[2:4]) == "{groups: 3} (57.5)"
    assert written(pd.DataFrame([{"labels": 1500}])) == "1,500"
    assert written(pd.DataFrame([{"labels": 50, "label_groups": 1.0}])) == "50 (1 group)"
