"""The jobs that the last Snakemake call in a folder planned: which are done, run, wait or failed, and the time left."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import mean
from typing import Literal

from simclr_steps.machine.failures import failure
from simclr_steps.machine.locks import try_lock

State = Literal["failed", "running", "waiting", "done"]
Progress = tuple[float, float | None]  # the seconds that a step has run, and those that it says it still takes

STAGES = {  # by rule, in the order of the table's columns
    **dict.fromkeys(("download", "download_weights", "prepare", "label"), "data"),
    "compare": "compare",
    "pretrain": "pretrain",
    "select": "select",
    **dict.fromkeys(("evaluate", "metadata"), "evaluate"),
    "finetune": "finetune",
    **dict.fromkeys(("predict_features", "gather_features", "tabulate_features", "take_unlabeled"), "predict"),
    **dict.fromkeys(("predict_classifier", "gather_predictions", "gather_further_predictions"), "predict"),
    "umap": "umap",
    **dict.fromkeys(("explore", "galleries"), "explore"),
    **dict.fromkeys(("present", "summary"), "summary"),
}
_STOPPED = ": stopped "  # what a step says that left in time: a retry, or the next call, resumes it
_QUIET_SECONDS = 60.0  # what a step wrote on another machine may take that long to be seen


@dataclass(frozen=True)
class Job:
    """A job of the plan; paths are below the workflow's folder."""

    folder: Path
    rule: str
    wildcards: dict[str, str]
    made: list[list[str]]  # the job is done when all files of one of these lists are there
    logs: list[str]  # the first is that of the step which the rule is named after
    benchmark: str | None
    due: bool  # whether it was to run when the plan was written; otherwise it is done

    @property
    def subject(self) -> str:
        """The row of the table: a run, what all runs on a data set share, or all runs."""
        of = self.wildcards
        start = of.get("start") or (f"{of['pretrain']}/seed{of['seed']}" if "pretrain" in of else "")
        if "compared" in of or start.startswith("compare/"):
            return f"{of['dataset']}/compare"
        return f"{of['dataset']}/{start}".rstrip("/") if "dataset" in of else "weights" if "weights" in of else "all"

    @property
    def is_of_run(self) -> bool:
        """Whether the row is that of one run."""
        return self.subject.count("/") == 2

    @property
    def stage(self) -> str:
        """The column of the table."""
        return STAGES.get(self.rule, self.rule)

    def fresh_logs(self, since: float) -> list[Path]:
        """Return the logs that were written since a time in seconds, the newest one first."""
        files = [self.folder / log for log in self.logs]
        fresh = [(changed, file) for file in files if (changed := _changed(file)) >= since]
        return [file for _, file in sorted(fresh, reverse=True)]

    @cached_property
    def seconds(self) -> float | None:
        """How long the job took when it was last run here, by Snakemake's benchmark."""
        try:
            return float((self.folder / str(self.benchmark)).read_text().splitlines()[1].split("\t")[0])
        except (OSError, ValueError, IndexError):
            return None

    def state(self, since: float) -> State:
        """Return how the job is, of a plan that was written at a time in seconds."""
        if not self.due or any(all(_changed(self.folder / path) >= since for path in paths) for paths in self.made):
            return "done"
        fresh = self.fresh_logs(since)
        if reasons := [line for file in fresh for line in failure(file)]:
            return "waiting" if all(_STOPPED in line for line in reasons) else "failed"
        if not fresh:
            return "waiting"
        if any(map(_may_run, fresh)):
            return "running"  # else it was killed, or ended well just now
        return "failed" if time.time() - _changed(fresh[0]) > _QUIET_SECONDS else "running"

    def why_it_failed(self, since: float) -> str | None:
        """Return what the job's steps said when they failed, None if they were killed and said nothing."""
        return next((line for file in self.fresh_logs(since) for line in failure(file)), None)


@dataclass(frozen=True)
class Plan:
    """All jobs of a plan, in no order, and when it was written, in seconds on the clock of its file system."""

    jobs: list[Job]
    written: float
    _done: set[int] = field(default_factory=set)  # by number; what is done stays so

    def states(self) -> list[State]:
        """Return how each job is now."""
        states: list[State] = [
            "done" if number in self._done else job.state(self.written) for number, job in enumerate(self.jobs)
        ]
        self._done.update(number for number, state in enumerate(states) if state == "done")
        return states

    def seconds_left(self, states: list[State], progress: Mapping[str, Progress]) -> tuple[float, bool]:
        """Return about how many seconds all jobs take that run or wait, and whether that leaves jobs out.

        A job takes as long as it, or the others of its rule, did before; of running ones `progress` tells, by log. As
        many run at a time as now.
        """
        took: dict[str, list[float]] = {}
        for job in self.jobs:
            said = [ran + left for log in job.logs if log in progress for ran, left in [progress[log]] if left]
            took.setdefault(job.rule, []).extend(said or ([] if job.seconds is None else [job.seconds]))
        running: list[float] = []
        waiting: list[float] = []
        is_least = False
        for job, state in zip(self.jobs, states, strict=True):
            if state in ("done", "failed"):
                continue
            whole = job.seconds if job.seconds is not None else mean(took[job.rule]) if took[job.rule] else None
            if state != "running":
                waiting.append(whole or 0.0)
            else:
                ran, left = next((progress[log] for log in job.logs if log in progress), (0.0, None))
                running.append(max(left or 0.0, (whole or 0.0) - ran))
            is_least |= whole is None
        return max([(sum(running) + sum(waiting)) / max(1, len(running)), *running]), is_least


def read_plan(folder: Path) -> Plan | None:
    """Return the plan of the workflow that runs in a folder, None if there is none that this version can read."""
    try:
        with (folder / "work" / "plan.json").open(encoding="utf-8") as file:
            content, written = json.load(file), os.fstat(file.fileno()).st_mtime
        return Plan([Job(folder=folder, **job) for job in content], written)
    except (OSError, ValueError, RecursionError, TypeError):
        return None


def _may_run(log: Path) -> bool:
    """Return whether a step holds the lock on its log: where that cannot be told, it may."""
    try:
        with log.open("r+b") as file:
            return not try_lock(file, without_locks=False)
    except OSError:  # another user's
        return True


def _changed(path: Path) -> float:
    """Return when a file or folder was changed, in seconds; minus infinity if it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return float("-inf")
