"""What the steps cost: time, memory and processor, as Snakemake's benchmark files tell, and on which GPUs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from simclr_steps.durations import duration
from simclr_steps.settings.base import SPLITS
from simclr_steps.summary.protocol import STEPS
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.tables import Table

_OF_DATA = ("download", "prepare", "label")
_OF_RUN = ("pretrain", "select", "evaluate", "metadata", "umap", "explore", "galleries")
_OF_FEATURES = ("predict", "gather", "tabulate")
_HEADER = ["step", "jobs", "time", "longest job", "most memory in GB", "processor time", "GPUs"]


def costs(runs: Sequence[RunResults], benchmarks: Path) -> Table:
    """Return a row for each step, over all its jobs, below a header; nothing where there are no benchmark files."""
    jobs: dict[str, list[pd.DataFrame]] = {}
    for file, step in {file: step for run in runs for file, step in _files(run, benchmarks)}.items():
        if (table := _read(file)) is not None:
            jobs.setdefault(step, []).append(table)
    gpus: dict[str, set[str]] = {}
    for run in runs:
        for stage, record in run.records.items():
            step = STEPS.get(stage, stage.split()[0])
            gpus.setdefault(step, set()).update((record.get("hardware") or {}).get("gpus") or [])
    rows = [[step, str(len(of_step)), *_row(pd.concat(of_step)), _named(gpus, step)] for step, of_step in jobs.items()]
    return [_HEADER, *rows] if rows else []


def _read(file: Path) -> pd.DataFrame | None:
    """Return a benchmark file; None where there is none, or another file, or one that a full disk left empty."""
    try:
        table = pd.read_csv(file, sep="\t", na_values=["-", "NA"])
    except (OSError, UnicodeDecodeError, pd.errors.EmptyDataError, pd.errors.ParserError):
        return None
    return table if {"s", "max_rss", "cpu_time"} <= set(table) else None


def _row(jobs: pd.DataFrame) -> Iterator[str]:
    """Yield the total and the longest time, the most memory, in GB of 10^9 bytes, and the time of all processors."""
    memory = jobs["max_rss"].max() * 2**20 / 1e9  # Snakemake's MB are MiB
    yield duration(jobs["s"].sum())
    yield duration(jobs["s"].max())
    yield "" if pd.isna(memory) else f"{memory:.1f}"
    yield duration(jobs["cpu_time"].sum()) if jobs["cpu_time"].notna().any() else ""


def _named(gpus: dict[str, set[str]], step: str) -> str:
    return ", ".join(sorted(gpus[step])) or "none" if step in gpus else ""


def _files(run: RunResults, benchmarks: Path) -> Iterator[tuple[Path, str]]:
    """Yield the benchmark file of each job that a run may have, and its step, in the order of the flow.

    A run of a grid reads nothing of test: what stands there is left from a time before it was one.
    """
    own = run.run
    splits = [split for split in SPLITS if split != "test" or own.judged_by == "test"]
    for step in _OF_DATA:
        yield benchmarks / own.dataset / f"{step}.tsv", step
    for name in own.continues:
        yield benchmarks / own.folder_of(name) / "pretrain.tsv", "pretrain"
    for step in _OF_RUN:
        yield benchmarks / own.folder / f"{step}.tsv", step
    for name in own.folders_compared:
        yield benchmarks / f"{name}.tsv", "compare"
    for folder in own.classifiers.values():
        yield benchmarks / f"{folder}.tsv", "finetune"
        yield benchmarks / f"{folder}.gather.tsv", "gather"
        for split in splits:
            for step in ("predict", "gather"):
                yield benchmarks / f"{folder}.{split}.{step}.tsv", step
    for split in splits:
        for step in _OF_FEATURES:
            yield benchmarks / own.folder / "features" / f"{split}.{step}.tsv", step
