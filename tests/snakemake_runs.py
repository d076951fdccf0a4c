"""Real runs of Snakemake, in a process that has it imported already."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests import warm_steps
from tests.forked import SERVER


def run_snakemake(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], *, warm: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a folder and return what it said. `warm` has it start warm steps, see tests/warm_steps.py."""
    python = str(warm_steps.PYTHON) if warm else sys.executable
    environment = {**os.environ, **environment, **(warm_steps.warm_environment() if warm else {})}
    with tempfile.NamedTemporaryFile("r") as stdout, tempfile.NamedTemporaryFile("r") as stderr:
        process = SERVER.Process(target=_run, args=(arguments, folder, environment, python, stdout.name, stderr.name))
        process.start()
        process.join()
        assert process.exitcode is not None
        return subprocess.CompletedProcess(arguments, process.exitcode, stdout.read(), stderr.read())


def _run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], python: str, stdout: str, stderr: str
) -> None:
    for stream, file in ((1, stdout), (2, stderr)):
        os.dup2(os.open(file, os.O_WRONLY), stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.executable = python  # with which the rules start their steps
    sys.path[0] = str(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("simclr_steps", "tests")]:
        del sys.modules[name]  # the project has its own
    from snakemake.cli import main

    main(list(arguments))
