"""Parts of `make bench` measure what their rows say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.benchmarks.bench import bench_photographs, bench_sweep, parse


@pytest.mark.slow
def test_photographs_are_prepared_and_embedded_and_a_sweep_is_planned_and_summarized(tmp_path: Path) -> None:
    options = parse(["--rounds", "1", "--photographs", "8", "--runs", "1", "2"])
    figures = bench_photographs(tmp_path, options) + bench_sweep(tmp_path, options)
    rates, (dry_run, _, summary, _) = figures[:4], figures[4:]
    assert [figure.unit for figure in rates] == ["images/s", "images/s", "×", "images/s"]
    assert rates[2].value == pytest.approx(rates[1].value / rates[0].value)
    assert (tmp_path / "embedded0.parquet").exists() and (tmp_path / "packed0/images.json").exists()
    [jobs] = re.findall(r"dry run of (\d+) jobs", dry_run.name)
    assert 2 * 10 < int(jobs) < 2 * 40
    assert summary.name == "summary of 2 runs" and (tmp_path / "sweep/0-2/results/summary.html").exists()
