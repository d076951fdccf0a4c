"""What a user's command costs from outside: seconds to its first step, images per second, and private memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simclr_steps.settings.pretrain import PretrainSettings
from tests.benchmarks.data import REPOSITORY, STEP

_OUT_OF_TIME = os.EX_TEMPFAIL


@dataclass(frozen=True)
class Run:
    """What was seen of one command."""

    images_per_second: float
    private_bytes: int  # the most at any moment; shared with no other process, and pages of mapped files among them


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    seconds: float
    cpu_seconds: float  # of the command and of the processes that it started, in the system and outside of it
    private_bytes: int  # the most at any moment, of the command alone and without any pages of files
    output: str  # what it printed


def cost(command: Sequence[str | Path]) -> Cost:
    """Run a command to its end.

    Raises RuntimeError when it fails.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=printed, stderr=subprocess.STDOUT)
        most = ended = 0
        while not ended:
            most = max(most, _anonymous_bytes(process.pid))
            time.sleep(0.1)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
        seconds = time.perf_counter() - started
        printed.seek(0)
        output = printed.read()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(output)
    return Cost(seconds, used.ru_utime + used.ru_stime, most, output)


def seconds_to_first_step(data: Path, chosen: PretrainSettings) -> float:
    """Return the time from the start of a pretraining's process until its first step is finished, and saved."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        process = _pretrain(data, chosen, Path(folder), "--save-minutes", "0")
        try:
            while not any(Path(folder, "work").rglob("training*.ckpt")):
                if process.poll() is not None:
                    raise RuntimeError(process.communicate()[1])
                time.sleep(0.01)
            return time.perf_counter() - started
        finally:
            process.kill()
            process.communicate()


def train_for(minutes: float, data: Path, chosen: PretrainSettings) -> Run:
    """Run a pretraining until its time is used up."""
    with tempfile.TemporaryDirectory() as folder:
        process = _pretrain(data, chosen, Path(folder), "--time-budget", str(minutes))
        most = 0
        while process.poll() is None:
            most = max(most, _private_bytes(process.pid))
            time.sleep(0.2)
        said = process.communicate()[1]
    if process.returncode != _OUT_OF_TIME:
        raise RuntimeError(said)
    return Run(float(re.findall(r"([\d.,]+) images/s", said)[-1].replace(",", "")), most)


def seconds_of_umap(features: Path, data: Path) -> float:
    """Return the time of the whole step, both layers with all their files, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        places = [f"--features={features}", f"--data={data}", f"--out={Path(folder, 'out')}"]
        return _seconds([*STEP, "umap", "--settings", "{}", *places])


def seconds_of_layout(features: Path) -> float:
    """Return the time of the layout of one layer, with all imports and compilation, in a process of its own."""
    code = """if True:
        import sys, numpy as np
        from simclr_steps.machine.processes import end_with_starter
        from simclr_steps.settings.umap import UmapSettings
        from simclr_steps.evaluation.umap_layout import layout
        end_with_starter()
        values = np.load(sys.argv[1])
        layout(UmapSettings(), values, np.full(len(values), -1))
    """
    return _seconds([sys.executable, "-c", code, str(features / "backbone.npy")])


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=REPOSITORY, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def _pretrain(data: Path, chosen: PretrainSettings, folder: Path, *options: str) -> subprocess.Popen[str]:
    places = [f"--data={data}", f"--out={folder / 'out'}", f"--work={folder / 'work'}"]
    settings = ["--settings", chosen.model_dump_json(), "--seed", "0", "--gpus", "0"]
    return subprocess.Popen(
        [*STEP, "pretrain", *settings, *places, *options], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True
    )


def _anonymous_bytes(process: int) -> int:
    """Return a count that the system has at hand, so that to look at it costs nothing."""
    found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return 1024 * int(found[1]) if found else 0  # it has just ended


def _private_bytes(process: int) -> int:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:  # it has just ended
        return 0
    return 1024 * sum(int(size) for size in re.findall(r"Private_(?:Clean|Dirty): +(\d+) kB", text))
