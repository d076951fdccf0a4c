"""At the end of a run, what made steps fail is said once more."""

from __future__ import annotations

import os
from pathlib import Path

from simclr_steps.machine.failures import failures

STAMP = "2026-01-31 12:00:00"


def write(file: Path, *messages: str, changed: float) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{message}\n" for message in messages))
    os.utime(file, (changed, changed))


def test_what_made_steps_of_this_run_fail_is_said_in_the_order_in_which_they_failed(tmp_path: Path) -> None:
    run = tmp_path / "logs/digits/simclr/seed0"
    reason = f"{STAMP} finetune: error: the disk is full: free some space"
    write(run / "finetune/scratch_0.1.log", f"{STAMP} finetune: epoch 1/2", reason, changed=30)
    bug = f"{STAMP} evaluate: this is a bug in the program, not in your input: please report it"
    write(run / "evaluate.log", bug, "Traceback (most recent call last):", "ValueError: error: 1", changed=20)
    write(run / "check.log", f"{STAMP} check: error: of an earlier run", changed=9)
    write(run / "pretrain.log", f"{STAMP} pretrain: warning: error: is no error", changed=25)
    stop = "stopped (SIGINT), saved at step 2 of 9: run again to resume"
    write(run / "umap.log", f"{STAMP} umap: warning: few rows", f"{STAMP} umap: {stop}", changed=15)
    assert failures(tmp_path / "logs", since=10) == [
        f"umap digits/simclr/seed0: {stop} ({run}/umap.log)",
        "evaluate digits/simclr/seed0: this is a bug in the program, not in your input: please report it "
        f"({run}/evaluate.log)",
        f"finetune digits/simclr/seed0/scratch_0.1: the disk is full: free some space ({run}/finetune/scratch_0.1.log)",
    ]


def test_a_run_that_wrote_no_log_failed_for_other_reasons(tmp_path: Path) -> None:
    assert failures(tmp_path / "logs", since=0) == []
