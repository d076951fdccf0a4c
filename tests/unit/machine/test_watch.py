"""`watch` shows the planned work, the steps that run and what failed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.locks import is_locked
from simclr_steps.machine.planned import read_plan
from simclr_steps.machine.watch import overview, table, watch
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from tests.benchmarks.waiting import wait_until
from tests.unit.conftest import digits
from tests.unit.machine.test_planned import RUN, job, write_plan
from tests.unit.step_processes import start

SETTINGS = PretrainSettings(
    epochs=10_000, global_batch_size=32, projection_head=ProjectionHead(hidden_size=8, output_size=4)
)


def shown(folder: Path) -> list[str]:
    """Return the lines that are shown of a folder."""
    return overview(folder, read_plan(folder))


def test_running_pretraining_is_shown_with_its_bar_until_it_is_killed(
    tmp_path: Path, write_packed: Callable[..., Path]
) -> None:
    run = "digits/simclr/seed0"
    log = tmp_path / "logs" / run / "pretrain.log"
    data = write_packed({"train": digits(64), "validation": digits(8), "unlabeled": digits(0)})
    write_plan(tmp_path, job("pretrain", RUN), job("select", RUN), job("prepare", {"dataset": "digits"}, due=False))
    arguments = ["--settings", SETTINGS.model_dump_json(), "--data", str(data), "--seed", "0", "--gpus", "0"]
    work = tmp_path / "work" / run / "pretrain"
    places = ["--out", str(tmp_path / "results" / "out"), "--work", str(work), "--log", str(log)]
    process = start(["pretrain", *arguments, *places], tmp_path)
    try:
        wait_until(lambda: re.search("loss.* left", "".join(shown(tmp_path))) is not None)
        head, _, *rows, _, name, words = shown(tmp_path)
        assert re.fullmatch(r"1 of 3 steps done, 1 running, 1 waiting; at least .* left", head)
        assert re.fullmatch(rf"{run}/pretrain, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d \(\d+ s\)", name)
        assert re.fullmatch(r"    \[\.{20}\]   \d%, epoch \d+/10000, loss \d\.\d{4}, kNN \d+\.\d%, .* left", words)
        (history,) = work.glob("*/csv/metrics.csv")
        assert process.pid
        os.kill(process.pid, signal.SIGSTOP)  # else it would go on to write there
        history.write_text("epoch,loss,validate_knn_accuracy\n4999,1.5,\n5000,1.25,0.875\n50")
        assert "[##########..........]  50%, epoch 5000/10000, loss 1.2500, kNN 87.5%" in shown(tmp_path)[-1]
        assert rows == ["        data", "digits  done", "", f"{'':19}  pretrain  select", f"{run}  running   waiting"]
    finally:
        process.kill()
        process.join()
    os.utime(log, (time.time() - 100,) * 2)  # time passes
    _, _, failed, *_, nothing = shown(tmp_path)
    assert nothing == "nothing is running"
    assert re.fullmatch(rf"failed: {run}/pretrain: ended without a reason after: .*epoch .* \({log}\)", failed)


def test_running_step_of_no_plan_is_shown_with_its_last_words(tmp_path: Path) -> None:
    write_plan(tmp_path, job("pretrain", RUN))
    log = tmp_path / "logs" / "digits" / "prepare.log"
    log.parent.mkdir(parents=True)
    log.write_text("2026-01-31 23:59:59 prepare: 5 images\n")
    with log.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        head, *_, name, words = shown(tmp_path)
        assert head == "0 of 1 steps done, 1 waiting"
        assert name.startswith("digits/prepare, since 2026-01-31 23:59:59 (") and words == "    23:59:59 5 images"
        (tmp_path / "work" / "plan.json").unlink()
        assert shown(tmp_path)[:2] == [name, words]
    assert shown(tmp_path)[0] == "nothing is running"


def test_what_failed_is_shown_with_its_reason(tmp_path: Path) -> None:
    write_plan(tmp_path, job("umap", RUN))
    log = tmp_path / "logs" / "digits/simclr/seed0/umap.log"
    log.parent.mkdir(parents=True)
    log.write_text("2026-01-31 23:59:59 umap: error: no features: run gather\n")
    head, _, failed, *_, nothing = shown(tmp_path)
    assert head == "0 of 1 steps done, 1 failed" and nothing == "nothing is running"
    assert failed == f"failed: umap digits/simclr/seed0: no features: run gather ({log})"


def test_table_counts_what_differs_and_shows_failed_runs_first_and_those_that_are_done_last(tmp_path: Path) -> None:
    write_plan(tmp_path, *(job("umap", {**RUN, "seed": seed}) for seed in ("0", "0", "1", "10", "2")))
    plan = read_plan(tmp_path)
    assert plan
    assert table(list(zip(plan.jobs[:2], ["done", "waiting"], strict=True)))[1] == "digits/simclr/seed0  1/2 waiting"
    _, *rows = table(list(zip(plan.jobs, ["done", "done", "waiting", "waiting", "failed"], strict=True)))
    expected = ["seed2  failed", "seed1  waiting", "seed10 waiting", "seed0  done"]
    assert [" ".join(row.split()) for row in rows] == [" ".join(f"digits/simclr/{row}".split()) for row in expected]


def test_time_that_is_over_or_is_of_one_draw_of_several_is_not_told(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "digits" / "finetune.log"
    log.parent.mkdir(parents=True)

    def left(*words: str) -> bool:
        return " left" in said(*words)

    def said(*words: str) -> str:
        log.write_text("".join(f"{datetime.now():%Y-%m-%d %H:%M:%S} finetune: {line}\n" for line in words))
        with log.open("r+b") as held:
            fcntl.flock(held, fcntl.LOCK_SH)
            return shown(tmp_path)[1]

    assert left("draw 2 of 2: 20 labels", "epoch 1/2, loss 1.0, 1 min 40 s left")
    assert not left("draw 1 of 2: 20 labels", "epoch 1/2, loss 1.0, 1 min 40 s left")
    of_first = said("draw 1 of 2: 20 labels", "after epoch 1/2, loss 1.0, accuracy 50.0 %, 1 min 40 s left")
    assert of_first.endswith(" 50%, epoch 1/2, draw 1 of 2, loss 1.0, accuracy 50.0 %")
    history = tmp_path / "work" / "digits" / "finetune" / "12ab" / "draw0" / "csv" / "metrics.csv"
    history.parent.mkdir(parents=True)
    history.write_text("epoch,loss,validate_accuracy\n1,0.75,0.5\n2,0.5,\n")
    of_first = said("draw 1 of 2: 20 labels", "epoch 1/2, loss 1.0")
    assert of_first.endswith("100%, epoch 2/2, draw 1 of 2, loss 0.5000, hold-out accuracy 50.0%")
    assert said("draw 2 of 2: 20 labels", "epoch 1/2, loss 1.0").endswith("  0%, epoch 0/2, draw 2 of 2, loss 1.0")
    assert not left("epoch 1/2, loss 1.0, 0 s left")


def test_watching_takes_half_a_second_and_no_torch(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    code = (
        "import sys; from simclr_steps.__main__ import main; main();"
        "print(sorted(m for m in sys.modules if m in ('torch', 'numpy', 'pandas')))"
    )
    seconds = []
    for _ in range(3):
        before = of_children()
        command = [sys.executable, "-c", code, "watch", str(tmp_path / "results")]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds.append(of_children() - before)
        missing = f"no table: {tmp_path}/work/plan.json is missing, or of another version; the next snakemake"
        nothing, told, imported = ended.stdout.splitlines()
        assert nothing == "nothing is running" and told.startswith(missing) and imported == "[]"
    assert min(seconds) < 1.0  # promised: 0.5 s on a quiet machine, of which nearly all are computed


def of_children() -> float:
    """Return the seconds of CPU time of all processes that have ended: other work on the machine does not count."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_terminal_is_drawn_again_until_the_user_stops_it(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    ours, theirs = pty.openpty()
    # Who started the tests in the background has them, and what they start, ignore a Ctrl-C.
    start = ["env", "--default-signal=INT", sys.executable, "-m", "simclr_steps"]
    with subprocess.Popen([*start, "watch", str(tmp_path / "results")], stdout=theirs) as process:
        seen = b""
        while seen.count(b"nothing is running") < 2:
            seen += os.read(ours, 1000)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
    assert seen.count(b"\x1b[H\x1b[J") == 2


def test_step_that_starts_while_it_is_looked_at_is_shown_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "a.log"
    file.parent.mkdir()
    file.touch()
    code = (
        "import sys, time; from pathlib import Path; from simclr_steps.machine.logs import start_logging;"
        "start_logging('a', Path(sys.argv[1])); print('started', flush=True); time.sleep(60)"
    )
    with file.open("r+b") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_EX)  # as watch does for an instant
        with subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE) as process:
            assert process.stdout
            try:
                time.sleep(0.5)
                fcntl.flock(looked_at, fcntl.LOCK_UN)
                process.stdout.readline()
                assert is_locked(file)
                assert shown(tmp_path)[1] == "    starting"
            finally:
                process.kill()


def test_folder_without_logs_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="logs does not exist: pass the results folder"):
        watch(tmp_path / "results")
