"""Replay a function of small tensors on a GPU as one CUDA graph: the host launches a graph instead of every kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# Below this many bytes of result a kernel ends before the host has launched the next one; above it there is nothing to
# gain, and the graph would keep memory for itself that the network could have used.
LARGEST_RESULT = 2**26
_WARM_UPS = 2


class Replayed:
    """A function of tensors that never waits for the GPU and returns one tensor, recorded once for each shape.

    What it returns is overwritten by its next call. On a CPU, and where the result is large, it is called as it is.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self._function = function
        self._recordings: dict[Any, _Recording | None] = {}

    def __call__(self, *arguments: Any) -> Tensor:
        """Return what the function returns for tensors and other arguments, of which the latter are constants."""
        tensors = [argument for argument in arguments if isinstance(argument, Tensor)]
        if not all(tensor.is_cuda for tensor in tensors):
            return self._function(*arguments)
        shapes = tuple(tensor.shape for tensor in tensors)
        if shapes not in self._recordings:
            result = self._function(*arguments)
            small = result.nbytes <= LARGEST_RESULT
            self._recordings[shapes] = _Recording(self._function, arguments) if small else None
            return result
        recording = self._recordings[shapes]
        return recording.replay(tensors) if recording else self._function(*arguments)


class _Recording:
    """The CUDA graph of one call, and the tensors that it reads and writes."""

    def __init__(self, function: Callable[..., Tensor], arguments: tuple[Any, ...]) -> None:
        copies = [argument.clone() if isinstance(argument, Tensor) else argument for argument in arguments]
        self._tensors = [copy for copy in copies if isinstance(copy, Tensor)]
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(_WARM_UPS):  # libraries set themselves up in their first calls, which cannot be recorded
                function(*copies)
        torch.cuda.current_stream().wait_stream(beside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):  # other threads may use the GPU
            self._result = function(*copies)

    def replay(self, tensors: list[Tensor]) -> Tensor:
        for recorded, given in zip(self._tensors, tensors, strict=True):
            recorded.copy_(given)
        self._graph.replay()
        return self._result
