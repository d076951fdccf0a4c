"""Processes forked from one server, which has imported what takes seconds to import."""

from __future__ import annotations

import multiprocessing

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["simclr_steps.steps.pretrain", "simclr_steps.steps.finetune", "tests.warm_snakemake", "smart_open"]
)
