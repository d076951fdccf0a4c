"""Show how far the planned work is: all runs and stages as a table, the running steps, what failed, the time left."""

from __future__ import annotations

import contextlib
import csv
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from simclr_steps.durations import duration
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.locks import is_locked
from simclr_steps.machine.planned import STAGES, Job, Plan, Progress, State, read_plan
from simclr_steps.machine.visible import visible

_REFRESH_SECONDS = 2.0
_CLEAR = "\x1b[H\x1b[J"
_STAMP = len("2026-01-31 23:59:59")
_LINE = re.compile(r"^([\d-]{10} ([\d:]{8})) \w+: (.*)$")
_EPOCH = re.compile(r"(after )?epoch (\d+)/(\d+), (.*)")
_LEFT = re.compile(r", (\d+ (?:h|min|s)(?: \d+ (?:min|s))?) left$")
_DRAW = re.compile(r": draw (\d+) of (\d+): ")  # a fine-tuning trains once for each
_SHOWN = {  # of a training's last epochs, where it was measured
    "loss": ("loss", ".4f"),
    "kNN": ("validate_knn_accuracy", ".1%"),
    "hold-out accuracy": ("validate_accuracy", ".1%"),
}
_UNITS = {"h": 3600, "min": 60, "s": 1}  # as durations are written
_BAR = 20  # characters
_NO_PLAN = (
    "no table: {} is missing, or of another version; the next snakemake or simclr run in that folder writes it, if a "
    "step has to run"
)


def watch(results: Path, *, once: bool = False) -> None:
    """Print how far the workflow is that writes into `results`; on a terminal again every two seconds.

    Raises
    ------
    UserError
        When there are no logs.
    """
    folder = results.resolve().parent
    if not (folder / "logs").is_dir():
        raise UserError(f"{folder / 'logs'} does not exist: pass the results folder of a workflow that has been run")
    if once or not sys.stdout.isatty():
        print("\n".join(overview(folder, read_plan(folder))))
        return
    plan = read_plan(folder)
    try:
        while True:
            with contextlib.suppress(OSError):  # a log was removed just now: the next table knows
                newest = read_plan(folder)
                plan = plan if plan and newest and plan.written == newest.written else newest
                print(_CLEAR + "\n".join(_cut(overview(folder, plan), *shutil.get_terminal_size())), end="", flush=True)
            time.sleep(_REFRESH_SECONDS)
    except KeyboardInterrupt:
        print()


def overview(folder: Path, plan: Plan | None) -> list[str]:
    """Return the lines to show of the workflow in a folder: the state of all, what failed, the table, what runs."""
    states = plan.states() if plan else []
    jobs = list(zip(plan.jobs, states, strict=True)) if plan else []
    since = plan.written if plan else 0.0
    running = [files[0] for job, state in jobs if state == "running" and (files := job.fresh_logs(since))]
    planned = {folder / log for job, _ in jobs for log in job.logs}
    running += [log for log in sorted((folder / "logs").rglob("*.log")) if log not in planned and is_locked(log)]
    steps = [_Step(log, folder) for log in running]
    lines = [line for step in steps for line in step.lines()] or ["nothing is running"]
    if plan:
        failed = [
            job.why_it_failed(since) or _Step(job.fresh_logs(since)[0], folder).last_line()
            for job, state in jobs
            if state == "failed"
        ]
        progress = {step.name: (step.seconds, step.seconds_left) for step in steps}
        told = [f"failed: {line}" for line in failed]
        lines = [_headline(plan, states, progress), "", *told, *([""] if told else []), *table(jobs), "", *lines]
    else:
        lines = [*lines, _NO_PLAN.format(folder / "work" / "plan.json")]
    return [visible(line) for line in lines]


def _headline(plan: Plan, states: list[State], progress: Mapping[str, Progress]) -> str:
    """Return how many jobs are how, and, while any runs, about how long all take."""
    number = Counter(states)
    others = [f"{number[state]} {state}" for state in ("running", "waiting", "failed") if number[state]]
    words = ", ".join([f"{number['done']} of {len(states)} steps done", *others])
    seconds, is_least = plan.seconds_left(states, progress) if number["running"] else (0.0, True)
    return f"{words}; {'at least' if is_least else 'about'} {duration(seconds)} left" if seconds else words


def table(jobs: list[tuple[Job, State]]) -> list[str]:
    """Return a table of what runs share, and one of all runs: stages as columns, those that are done at the end."""
    tables = []
    for of_run in (False, True):
        cells: dict[str, dict[str, list[State]]] = {}
        for job, state in jobs:
            if job.is_of_run == of_run:
                cells.setdefault(job.subject, {}).setdefault(job.stage, []).append(state)
        known = {stage for row in cells.values() for stage in row}
        stages = [stage for stage in dict.fromkeys([*STAGES.values(), *known]) if stage in known]
        rows = [[subject, *(_cell(cells[subject].get(stage, [])) for stage in stages)] for subject in cells]
        rows.sort(key=_urgency)
        tables.append([["", *stages], *rows] if rows else [])
    return [line for rows in tables if rows for line in [*_aligned(rows), ""]][:-1]


def _urgency(row: list[str]) -> tuple[bool, bool, list[tuple[int, str]]]:
    """Return where a row stands: failed ones first, done ones last, and seed2 before seed10."""
    subject, *cells = row
    parts = re.split(r"(\d+)", subject)
    natural = [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
    return not any("failed" in cell for cell in cells), not {*cells} - {"", "done"}, natural


def _cell(states: list[State]) -> str:
    """Return how the jobs of a stage are: the most urgent state, and how many are done where they differ."""
    if not states:
        return ""
    state = next(state for state in ("failed", "running", "waiting", "done") if state in states)
    return f"{states.count('done')}/{len(states)} {state}" if len({*states}) > 1 else state


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _cut(lines: list[str], columns: int, height: int) -> list[str]:
    """Return what of the lines fits on a terminal."""
    if len(lines) > height:
        more = len(lines) - height + 1
        lines = [*lines[: height - 1], f"{more} more lines: simclr watch --once shows all"]
    return [line[:columns] for line in lines]


class _Step:
    """What the log of a step that runs or was killed, and a training's `metrics.csv`, tell of it."""

    def __init__(self, log: Path, folder: Path) -> None:
        self._log, self._folder, self.name = log, folder, str(log.relative_to(folder))
        self._title = str(log.relative_to(folder / "logs").with_suffix(""))
        self._said = log.read_text(encoding="utf-8", errors="replace").splitlines()
        self._epoch = next((found for line in reversed(self._said) if (found := _EPOCH.search(line))), None)

    def lines(self) -> list[str]:
        """Return its name and how long it has run; how far it is, or the last line that it said."""
        name = f"{self._title}, since {self._began:%Y-%m-%d %H:%M:%S} ({duration(self.seconds)})"
        return [name, f"    {self._progress() or self._last_words()}"]

    def last_line(self) -> str:
        """Return what is known of it if it was killed."""
        return f"{self._title}: ended without a reason after: {self._last_words()} ({self._log})"

    @property
    def seconds_left(self) -> float | None:
        """The time that it said last that it still takes, less that since then.

        None if it says nothing of it, or is at work on what it said nothing of, as on a further draw of labels.
        """
        draw, draws = self._draws()
        for line in reversed(self._said):
            if (found := _LEFT.search(line)) and (stamp := _LINE.match(line)):
                words = found[1].split()
                said = sum(int(number) * _UNITS[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
                left = said - (datetime.now() - datetime.fromisoformat(stamp[1])).total_seconds()
                return left if left > 0 and draw == draws else None
        return None

    def _draws(self) -> tuple[int, int]:
        """Return at which draw of labels a fine-tuning is, and of how many."""
        found = next((found for line in reversed(self._said) if (found := _DRAW.search(line))), None)
        return (int(found[1]), int(found[2])) if found else (1, 1)

    def _progress(self) -> str | None:
        """Return the bar of a training, its last loss and accuracy, and the time left."""
        if not self._epoch:
            return None
        after, epoch, epochs, words = self._epoch.groups()
        done, facts = int(epoch) - (not after), [_LEFT.sub("", words)]
        if rows := self._rows():
            done = max(done, round(float(rows[-1]["epoch"])))
            facts = [
                f"{name} {float(values[-1]):{form}}"
                for name, (column, form) in _SHOWN.items()
                if (values := [row[column] for row in rows if row.get(column)])
            ]
        if (draws := self._draws())[1] > 1:
            facts.insert(0, "draw {} of {}".format(*draws))
        filled = done * _BAR // int(epochs)
        left = [f"{duration(self.seconds_left)} left"] if self.seconds_left is not None else []
        return ", ".join(
            [f"[{'#' * filled}{'.' * (_BAR - filled)}] {done / int(epochs):4.0%}, epoch {done}/{epochs}", *facts, *left]
        )

    def _rows(self) -> list[dict[str, str]]:
        """Return the rows of a training's history but one that is half written; none where there is no such file."""
        work = self._folder / "work" / self._title
        of_draw = f"draw{self._draws()[0] - 1}"  # of a fine-tuning
        files = [file for folder in ("*", f"*/{of_draw}") for file in work.glob(f"{folder}/csv/metrics.csv")]
        try:
            newest = max(files, key=lambda file: file.stat().st_mtime)
            whole, _, _ = newest.read_text(encoding="utf-8").rpartition("\n")
        except (FileNotFoundError, ValueError):  # it has not ended an epoch
            return []
        return list(csv.DictReader(whole.splitlines()))

    @property
    def _began(self) -> datetime:
        """When it began: the first line of its log says when, and an empty log is as old as it."""
        try:
            return datetime.fromisoformat(self._said[0][:_STAMP] if self._said else "")
        except ValueError:
            return datetime.fromtimestamp(self._log.stat().st_mtime)

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return max(0.0, (datetime.now() - self._began).total_seconds())

    def _last_words(self) -> str:
        """Return the time and the message of the log's last line."""
        return _LINE.sub(r"\2 \3", self._said[-1]) if self._said else "starting"
