"""The histories of a pretraining and of those that it continues are one, on the page as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.config import read_config
from simclr_steps.settings.plan import plan
from simclr_steps.settings.runs import Run
from simclr_steps.summary import curves
from simclr_steps.summary.origin import origin
from simclr_steps.summary.protocol import _pretrains
from simclr_steps.summary.reading import read_run
from tests.unit.summary.written_results import write_run

RUN = Run(dataset="digits", pretrain="third", seed=0, finetunes=[], continues=["first", "second"])


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return a folder with three results, of which two begin before the first step."""
    for name in ("first", "second", "third"):
        file = write_run(tmp_path, 0, pretrain=name) / "pretrain/history.csv"
        header, *rows = file.read_text().splitlines()
        start = [f"0,0,{',' * (header.count(',') - 2)}"] if name != "first" else []
        file.write_text("\n".join([header, *start, *rows]) + "\n")
    return tmp_path


def test_a_curve_begins_where_the_parents_ends(results: Path) -> None:
    read = read_run(RUN, results)
    assert read.history["epoch"].tolist() == [1, 2, 2, 3, 4, 4, 5, 6]
    figures = {row["metric"]: row["value"] for row in read.rows if row["stage"] == "pretrain"}
    assert (figures["epochs"], figures["seconds"]) == (2, 125), "its own"
    upper, lower = curves.history({"digits, third": {0: read.history}}).axes[:2]
    for axes in (upper, lower):
        dotted = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]  # type: ignore[index]
        assert dotted == [2, 4]


def test_what_a_run_continues_is_part_of_its_summary_and_must_be_there(results: Path) -> None:
    assert origin([RUN], results, "") == []
    (results / "digits/first/seed0/pretrain/history.csv").unlink()
    with pytest.raises(UserError, match=r"first/seed0/pretrain/history\.csv does not exist, but third continues first"):
        read_run(RUN, results)


def test_the_config_on_the_page_plans_the_same() -> None:
    blocks = {"simclr": {"epochs": 5, "temperature": 0.2}, "longer": {"continue": "simclr", "epochs": 7}}
    config = {
        "datasets": {"digits": {"source": "digits"}},
        "experiments": [{"dataset": "digits", "pretrain": "longer"}],
    }
    asked = plan(read_config({**config, "pretrains": blocks}))
    shown = _pretrains(asked.runs[0], asked.pretrains["longer"].model_dump(mode="json"))
    assert plan(read_config({**config, "pretrains": shown})).pretrains == asked.pretrains
