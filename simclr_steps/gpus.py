"""Which GPUs a step takes on a machine where no scheduler assigns them: those that no other step holds."""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
from pathlib import Path

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_log = logging.getLogger("simclr_steps")


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
        _log.warning("warning: other steps use all GPUs, so one is shared: let Snakemake know how many there are")
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
