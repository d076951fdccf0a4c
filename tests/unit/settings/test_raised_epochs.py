"""Who raises the epochs of a finished pretraining is told of `continue`, once for all seeds, and nobody else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simclr_steps.files import write_json
from simclr_steps.machine.code_hash import code_hash
from simclr_steps.settings.config import read_config
from simclr_steps.settings.plan import Plan, plan
from simclr_steps.settings.raised_epochs import raised_epochs


def planned(**block: Any) -> Plan:
    content = {"datasets": {"digits": {"source": "digits"}}, "pretrains": {"simclr": block}}
    return plan(read_config({**content, "experiments": [{"dataset": "digits", "pretrain": "simclr", "seeds": [0, 1]}]}))


def said(folder: Path, asked: Plan) -> list[str]:
    return list(raised_epochs(asked, lambda path: str(folder / path)))


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Return a folder with the records of two pretrainings of 5 epochs."""
    settings = planned(epochs=5).pretrains["simclr"].trained.model_dump(mode="json")
    for seed in (0, 1):
        file = tmp_path / f"results/digits/simclr/seed{seed}/pretrain/run.json"
        file.parent.mkdir(parents=True)
        write_json(file, {"settings": settings, "fitted": {"epochs": 5}, "code_hash": code_hash("pretrain")})
    return tmp_path


def test_raised_epochs_are_told_with_the_block_to_write(finished: Path) -> None:
    assert said(finished, planned(epochs=12)) == [
        "results/digits/simclr/seed0/pretrain has 5 epochs and would start over for 12: to go on from its end, restore "
        "epochs: 5 in pretrains.simclr, and add a block with continue: simclr and epochs: 7"
    ]


@pytest.mark.parametrize(
    "block", [{"epochs": 5}, {"epochs": 3}, {"epochs": "auto"}, {"epochs": 12, "temperature": 0.1}]
)
def test_other_changes_and_results_of_other_code_are_not_told_of(finished: Path, block: dict[str, Any]) -> None:
    assert said(finished, planned(**block)) == []
    for file in finished.glob("results/*/*/*/pretrain/run.json"):
        file.write_text(file.read_text().replace(code_hash("pretrain"), "0"))
    assert said(finished, planned(epochs=12)) == []
    assert said(finished / "empty", planned(epochs=12)) == []
