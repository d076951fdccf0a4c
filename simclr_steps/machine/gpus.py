"""Whether a machine has GPUs, and which of them a step takes where no scheduler assigns them: those no other holds."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import IO

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_SECONDS_TO_ANSWER = 20.0  # a driver that is loaded anew for each call takes a few
_log = logging.getLogger("simclr_steps")


def machine_shows_gpu() -> bool:
    """Return whether CUDA_VISIBLE_DEVICES or else the driver shows a GPU, without the seconds that torch would take.

    A driver that does not answer is hidden from this process and those that it starts, as torch would wait forever.
    """
    visible = os.environ.get(_VISIBLE)
    if visible is not None:  # CUDA reads the list up to the first name that it cannot use, as SLURM's NoDevFiles
        return re.match(r"\s*(\d+|GPU-.*|MIG-.*)\s*(,|$)", visible) is not None
    with tempfile.TemporaryFile() as answer:
        return _driver_answers(answer) and re.search(rb"^GPU \d+: .*UUID", answer.read(2**16), re.MULTILINE) is not None


def _driver_answers(answer: IO[bytes]) -> bool:
    """Have nvidia-smi write its list of GPUs into a file, from whose start it is then read; tell whether it could."""
    try:
        asked = subprocess.Popen(["nvidia-smi", "-L"], stdout=answer, stderr=subprocess.DEVNULL)  # noqa: S607
    except FileNotFoundError:
        return False
    except OSError as error:
        _log.warning("warning: continuing without a GPU because nvidia-smi cannot be run: %s", error.strerror)
        return False
    try:
        status = asked.wait(timeout=_SECONDS_TO_ANSWER)
    except subprocess.TimeoutExpired:
        asked.kill()  # and not waited for, as a driver that hangs may hold it
        _log.warning(
            "warning: continuing without a GPU because nvidia-smi did not answer within %g s", _SECONDS_TO_ANSWER
        )
        os.environ[_VISIBLE] = ""
        return False
    answer.seek(0)
    return status == 0


def obstacle() -> str | None:
    """Return in one line why torch cannot compute on a GPU, None if it can; CUDA is in use from then on."""
    import torch

    try:
        torch.ones(1, device="cuda").sum().item()
    except (AssertionError, RuntimeError) as error:  # the first where torch was built without CUDA
        return str(error).partition("\n")[0].rstrip(".")
    return None


def take_gpus(count: int, available: int) -> None:
    """Have this process, and those that it starts, see `count` of the machine's `available` GPUs, free ones first.

    It must be called before CUDA is used. Where CUDA_VISIBLE_DEVICES is set, a scheduler or the user has chosen.
    """
    if _VISIBLE in os.environ or not count:
        return
    free: list[int] = []
    for gpu in range(available):
        if len(free) < count and _hold(gpu):
            free.append(gpu)
    shared = [gpu for gpu in range(available) if gpu not in free][: count - len(free)]
    if shared:
        _log.warning("warning: all GPUs are in use by other steps, so one is shared: tell Snakemake how many there are")
    os.environ[_VISIBLE] = ",".join(map(str, free + shared))


def _hold(gpu: int) -> bool:
    """Lock a GPU's file, for as long as this process lives; tell whether it was free."""
    descriptor = os.open(_lock_file(gpu), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True


def _lock_file(gpu: int) -> Path:
    return Path(tempfile.gettempdir()) / f"simclr-{os.getuid()}-gpu{gpu}.lock"
