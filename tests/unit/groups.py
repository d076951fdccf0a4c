"""Functions that several processes run as one group; they are forked."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from tests.forked import SERVER

T = TypeVar("T")


def in_group(processes: int, function: Callable[..., T], *arguments: Any) -> list[T]:
    """Call a function in processes that form a gloo group; return what each returned, in the order of their ranks."""
    work = pickle.dumps((function, arguments))  # as the processes would share the memory of tensors
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(processes, SERVER) as pool:
        meeting = Path(folder, "meeting").as_uri()
        calls = [pool.submit(_call, work, meeting, rank, processes) for rank in range(processes)]
        return [call.result() for call in calls]


def _call(work: bytes, meeting: str, rank: int, processes: int) -> Any:
    torch.set_num_threads(1)
    minute = timedelta(minutes=1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=processes, timeout=minute)
    try:
        function, arguments = pickle.loads(work)
        return function(*arguments)
    finally:
        dist.destroy_process_group()
