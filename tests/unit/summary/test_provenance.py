"""The page says what made the results, and where their steps differ in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from simclr_steps.data.packed import read_description
from simclr_steps.summary.provenance import hardware, provenance
from simclr_steps.summary.run_results import RunResults
from tests.unit.summary.written_results import RECORD, settings

OTHER = {
    "code_hash": "f00d",
    "versions": {"torch": "2.12.0"},
    "image": None,
    "hardware": {"gpus": ["H200"], "threads": 2},
    "seconds": 60.0,
}


def test_what_differs_between_steps_is_listed_and_what_they_share_is_said_once(data: Path) -> None:
    (run,) = settings(0).runs
    records = {"pretrain": RECORD, "knn": RECORD, "umap": RECORD | OTHER}
    lines = dict(provenance([RunResults(run, records=records)], {"digits": read_description(data)}))
    assert lines["seeds"] == "0"
    assert lines["versions"] == "torch 2.11.0 or 2.12.0"
    assert lines["container image"] == "none, simclr.sif (sha256 d1935t)"
    assert lines["hardware"] == "<i>Chip</i>, 2 cores; H200, unknown processor, 2 threads"
    assert lines["total time of all steps"] == "2 min 23 s"
    assert "umap f00d" in lines["code of the steps"]


@pytest.mark.parametrize("record", [None, {}])
def test_a_record_without_hardware_says_so(record: dict[str, str] | None) -> None:
    assert hardware(record) == "unknown"
