"""What a sweep costs beside its trainings: Snakemake's dry run of all its jobs, and the summary of its results."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.benchmarks.commands import Cost, cost
from tests.benchmarks.data import REPOSITORY, STEP
from tests.unit.summary.written_results import write_sweep


def costs(folder: Path, digits: Path, runs: int) -> Mapping[str, Cost]:
    """Plan the demo as a grid of `runs` temperatures, and summarize the results of as many runs on packed `digits`."""
    folder.mkdir(parents=True)
    return {"dry run": _dry_run(folder, runs), "summary": _summarize(folder, digits, runs)}


def jobs(of: Mapping[str, Cost]) -> int:
    """Return how many jobs the dry run counted."""
    return int(re.findall(r"^total +(\d+)$", of["dry run"].output, re.MULTILINE)[0])


def _dry_run(folder: Path, runs: int) -> Cost:
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    config["experiments"][0]["grid"] = {"temperature": [(1 + number) / runs for number in range(runs)]}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(config))
    places: list[str | Path] = ["--snakefile", REPOSITORY / "workflow/Snakefile", "--configfile", folder / "sweep.yaml"]
    asked = ["--cores", "2", "--dry-run", "--quiet", "rules"]
    return cost([sys.executable, "-m", "snakemake", *places, "--directory", folder, *asked])


def _summarize(folder: Path, digits: Path, runs: int) -> Cost:
    results, resources, settings = folder / "results", folder / "resources", folder / "settings.json"
    resources.mkdir()
    (resources / "digits").symlink_to(digits)
    settings.write_text(write_sweep(results, runs).model_dump_json())
    places: list[str | Path] = ["--results", results, "--resources", resources, "--out", results]
    return cost([*STEP, "summarize", "--settings", settings, *places, "--quiet"])
