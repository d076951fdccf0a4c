"""The state of each planned job, by the files that are there, and the time that all take."""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.machine.planned import STAGES, Job, Plan, read_plan

RUN = {"dataset": "digits", "pretrain": "simclr", "seed": "0"}
ROOT = Path(__file__).parents[3]


def job(rule: str, wildcards: dict[str, str], *, due: bool = True) -> dict[str, Any]:
    """Return a job of one output and one log, as the Snakefile writes it."""
    name = "/".join([*(f"seed{value}" if key == "seed" else value for key, value in wildcards.items()), rule])
    files = {"made": [[f"results/{name}"]], "logs": [f"logs/{name}.log"], "benchmark": f"benchmarks/{name}.tsv"}
    return {"rule": rule, "wildcards": wildcards, **files, "due": due}


def write_plan(folder: Path, *jobs: dict[str, Any]) -> None:
    """Write the plan of a workflow in a folder, as 1,000 seconds ago."""
    write(folder / "work" / "plan.json", json.dumps(jobs), seconds_ago=1000)
    (folder / "logs").mkdir(exist_ok=True)


def planned(folder: Path, *jobs: dict[str, Any]) -> Plan:
    write_plan(folder, *jobs)
    plan = read_plan(folder)
    assert plan
    return plan


def write(path: Path, text: str = "", seconds_ago: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - seconds_ago,) * 2)
    return path


def test_job_waits_runs_and_is_done(tmp_path: Path) -> None:
    plan = planned(tmp_path, job("select", RUN), job("umap", RUN, due=False))
    assert plan.states() == ["waiting", "done"]
    log = write(tmp_path / "logs/digits/simclr/seed0/select.log", seconds_ago=100)
    with log.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert plan.states() == ["running", "done"]
    write(tmp_path / "results/digits/simclr/seed0/select")
    assert plan.states() == ["done", "done"]


def test_result_that_is_to_be_made_anew_waits_until_it_is_replaced(tmp_path: Path) -> None:
    result = write(tmp_path / "results/digits/simclr/seed0/select", seconds_ago=2000)
    plan = planned(tmp_path, job("select", RUN))
    assert plan.states() == ["waiting"]
    write(result)
    assert plan.states() == ["done"]


def test_step_failed_if_it_said_so_or_was_silent_since_it_ended_but_not_in_an_earlier_call(tmp_path: Path) -> None:
    log, error = tmp_path / "logs/digits/simclr/seed0/select.log", "2026-01-31 23:59:59 select: error: no\n"
    write(log, error, seconds_ago=2000)
    plan = planned(tmp_path, job("select", RUN))
    assert plan.states() == ["waiting"]
    write(log, "2026-01-31 23:59:59 select: error: it cannot: do that\n")
    assert plan.states() == ["failed"]
    assert plan.jobs[0].why_it_failed(plan.written) == f"select digits/simclr/seed0: it cannot: do that ({log})"
    write(log, "2026-01-31 23:59:59 select: killed now\n")
    assert plan.states() == ["running"]  # or ended well on another machine, whose files are seen later
    write(log, "2026-01-31 23:59:59 select: killed long ago\n", seconds_ago=100)
    assert plan.states() == ["failed"] and plan.jobs[0].why_it_failed(plan.written) is None


def test_training_that_left_in_time_waits_for_its_retry(tmp_path: Path) -> None:
    plan = planned(tmp_path, job("pretrain", RUN))
    said = "2026-01-31 23:59:59 pretrain: stopped (the time budget ran out), saved at step 5: run again to resume\n"
    write(tmp_path / "logs/digits/simclr/seed0/pretrain.log", said, seconds_ago=100)
    assert plan.states() == ["waiting"]


def test_job_of_several_logs_that_was_killed_in_its_first_step_failed(tmp_path: Path) -> None:
    plan = planned(tmp_path, {**job("pretrain", RUN), "logs": ["logs/pretrain.log", "logs/check.log"]})
    write(tmp_path / "logs/check.log", "2026-01-31 23:59:59 check: starting\n", seconds_ago=100)
    assert plan.states() == ["failed"]


def test_temporary_result_shows_that_it_is_done_and_so_does_what_was_made_of_it(tmp_path: Path) -> None:
    parts = job("predict_features", RUN)
    parts["made"] = [["results/parts"], ["results/a", "results/b"]]
    plan = planned(tmp_path, parts)
    write(tmp_path / "results/a")
    assert plan.states() == ["waiting"]
    write(tmp_path / "results/b")
    assert plan.states() == ["done"]


def test_time_left_is_that_of_earlier_jobs_and_of_what_running_ones_say(tmp_path: Path) -> None:
    jobs = [job("umap", {**RUN, "seed": str(seed)}) for seed in range(4)]
    write(tmp_path / jobs[0]["benchmark"], "s\th:m:s\n100.0\t0:01:40\n")
    plan = planned(tmp_path, *jobs)
    assert plan.seconds_left(["done", "waiting", "waiting", "waiting"], {}) == (300.0, False)
    running = {jobs[2]["logs"][0]: (30.0, None), jobs[3]["logs"][0]: (50.0, 150.0)}  # of about 150, and of 200
    half = (150.0 + 120.0 + 150.0) / 2
    assert plan.seconds_left(["done", "waiting", "running", "running"], running) == (half, False)
    assert plan.seconds_left(["done", "failed", "failed", "failed"], {}) == (0.0, False)
    unknown = planned(tmp_path, job("explore", RUN), *jobs)
    assert unknown.seconds_left(["waiting", "done", "running", "done", "done"], {}) == (100.0, True)


@pytest.mark.parametrize(
    ("wildcards", "subject"),
    [
        (RUN, "digits/simclr/seed0"),
        ({"dataset": "digits", "start": "simclr/seed0", "finetune": "pretrained"}, "digits/simclr/seed0"),
        ({"dataset": "digits", "start": "compare/random-a-seed0", "finetune": "scratch"}, "digits/compare"),
        ({"dataset": "digits", "compared": "pixels"}, "digits/compare"),
        ({"dataset": "digits"}, "digits"),
        ({"weights": "resnet"}, "weights"),
        ({}, "all"),
    ],
)
def test_jobs_stand_in_the_row_of_what_they_are_about(wildcards: dict[str, str], subject: str) -> None:
    found = Job(Path(), "some", wildcards, made=[], logs=[], benchmark=None, due=True)
    assert found.subject == subject and found.is_of_run == (subject == "digits/simclr/seed0")


def test_every_rule_has_a_column() -> None:
    rules = "".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    names = set(re.findall(r"^(?:use rule \w+ as|rule) (\w+)", rules, re.MULTILINE))
    assert {name for name in names if not name.endswith("_all")} == set(STAGES)


def test_folder_without_a_plan_or_with_one_of_another_version_has_none(tmp_path: Path) -> None:
    assert read_plan(tmp_path) is None
    for content in ("[", "null", '[{"rule": "umap"}]'):
        write(tmp_path / "work" / "plan.json", content)
        assert read_plan(tmp_path) is None
