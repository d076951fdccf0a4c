"""How the processes of one training agree, without any of them waiting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
import torch.distributed as dist

from simclr_steps.machine.errors import Stopped, UserError
from simclr_steps.machine.processes import leads


class Agreement:
    """Tells all processes the largest of each number that any of them named.

    Within a group of processes the answer is that of the call before, which travels while the devices compute. Every
    process makes the same calls.
    """

    def __init__(self) -> None:
        self._group = dist.new_group(backend="gloo") if dist.is_initialized() else None
        self._numbers: torch.Tensor | None = None
        self._work: dist.Work | None = None

    def largest(self, numbers: Sequence[int]) -> list[int]:
        """Name this process's numbers; return what is agreed."""
        if self._group is None:
            return list(numbers)
        if self._work is not None:
            self._work.wait()
        agreed = [0] * len(numbers) if self._numbers is None else self._numbers.tolist()
        self._numbers = torch.tensor(numbers)
        self._work = dist.all_reduce(self._numbers, op=dist.ReduceOp.MAX, group=self._group, async_op=True)
        return agreed


def mean_of_all(value: torch.Tensor) -> torch.Tensor:
    """Return the mean of the processes' values; every process calls it."""
    if not dist.is_initialized():
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def is_anothers_end(error: Exception) -> bool:
    """Return whether an error only says that another process of the training is gone."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)  # gloo names its source files, and has no class


def end_together(reason: UserError | Stopped) -> NoReturn:
    """End a training that all processes end at this point: the leading one says why, the others leave in silence."""
    raise reason if leads() else Stopped(str(reason), 0)
