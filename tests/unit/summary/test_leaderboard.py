"""The best combination of a grid stands first, and what is to be pasted runs it by itself."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import yaml

from simclr_steps.settings.config import read_config
from simclr_steps.settings.plan import plan
from simclr_steps.settings.runs import Run
from simclr_steps.summary.leaderboard import Leaderboard, as_html, leaderboards
from tests.unit.summary.test_sweeps import TEMPERATURES, rows

GRID: dict[str, list[Any]] = {"temperature": TEMPERATURES, "init": ["random", "a<b>.pth"]}


def config(*experiments: dict[str, Any], **pretrains: Any) -> dict[str, Any]:
    return {
        "datasets": {"digits": {"source": "digits"}},
        "pretrains": {"simclr": {"epochs": 1, "projection_head": {"layers": 3}}, **pretrains},
        "finetunes": {"tuned": {}},
        "experiments": [{"dataset": "digits", "pretrain": "simclr"} | experiment for experiment in experiments],
    }


def boards(runs: list[Run], table: pd.DataFrame | None = None) -> list[Leaderboard]:
    table = rows(runs).assign(images=40) if table is None else table
    return list(leaderboards(runs, table))


def swept(content: dict[str, Any]) -> list[Run]:
    return list(plan(read_config(content)).runs)


def test_the_best_is_first_and_pasting_it_runs_it_by_itself_without_another_training() -> None:
    content = config({"grid": {"temperature": TEMPERATURES}, "seeds": [0, 1], "finetunes": ["tuned"]})
    [board] = boards(swept(content))
    assert board.judged == "logistic regression on the frozen features with 10 labels, on the hold-out of 40 images"
    assert board.cells() == [
        ["place", "temperature", "accuracy in %"],
        ["1, best", "1", "55.0 ± 7.1 [39.8, 69.3] (2)"],
        ["2", "0.5", "30.0 ± 7.1 [18.1, 45.4] (2)"],
        ["3", "0.1", "10.0 ± 7.1 [4.0, 23.1] (2)"],
    ]
    pasted = yaml.safe_load(board.winner)
    content["pretrains"] |= pasted["pretrains"]
    content["experiments"] += pasted["experiments"]
    runs = swept(content)
    assert len(runs) == 6 and {run.pretrain for run in runs if run.judged_by == "test"} == {"simclr-temperature=1.0"}
    [after] = boards(runs)
    assert after.is_run and "digits, simclr-temperature=1.0 below has its accuracies on the test split" in after.advice
    assert after.cells() == board.cells()


def test_winners_of_two_grids_over_one_block_can_be_pasted_into_one_config() -> None:
    grids = [{"grid": {"temperature": TEMPERATURES}}, {"grid": {"init": GRID["init"]}}]
    pasted = [yaml.safe_load(board.winner) for board in boards(swept(config(*grids)))]
    assert [list(one["pretrains"]) for one in pasted] == [["simclr_best"], ["simclr_best_2"]]
    assert [one["experiments"][0]["pretrain"] for one in pasted] == ["simclr_best", "simclr_best_2"]


def test_two_keys_make_a_heat_map_and_names_stay_text() -> None:
    runs = swept(config({"grid": GRID}))
    [board] = boards(runs)
    names, cells = board.heat_map()
    assert names == ["init ↓, temperature →", "0.1", "0.5", "1"]
    assert [[cell.text for cell in row] for row in cells] == [[name, "5.0", "25.0", "50.0"] for name in GRID["init"]]
    assert [cell.color for cell in cells[0]] == ["", "#ffffff", "#c1d9ea", "#74a9cf"]
    page = as_html([board], {f"digits, {run.pretrain}": f"results-{number}" for number, run in enumerate(runs)})
    assert "a&lt;b&gt;.pth" in page and "<b>" not in page
    assert page.count("<tr") == 7 + 3 and 'href="#results-5"' in page


@pytest.mark.parametrize("grid", [{"temperature": TEMPERATURES}, {**GRID, "epochs": [1, 2]}])
def test_one_or_three_keys_have_no_heat_map(grid: dict[str, Any]) -> None:
    [board] = boards(swept(config({"grid": grid})))
    assert board.heat_map() == ([], [])


def test_without_logistic_regression_knn_decides_and_without_accuracies_nothing() -> None:
    runs = swept(config({"grid": {"temperature": TEMPERATURES}}))
    table = rows(runs)
    [board] = boards(runs, table[table["stage"] == "knn"])
    assert board.judged == "kNN on the frozen features with all labels, on the hold-out"
    assert not boards(runs, table[:0])
    assert as_html([], {}) == ""
