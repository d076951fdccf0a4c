"""Count the operations of some code, their FLOPs and the bytes that they move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

_aten = torch.ops.aten
_MOVE_NOTHING = {_aten.empty, _aten.empty_like, _aten.new_empty_strided, _aten._unsafe_view, _aten.as_strided_}
# Statistics, or sums of the gradient, come first, and then all is read again.
_READ_TWICE = {_aten.native_batch_norm, _aten.native_batch_norm_backward}


@dataclass(frozen=True)
class Operation:
    """What one operation costs."""

    flops: int
    moved_bytes: int
    bf16: bool  # whether it multiplies bfloat16


class Counter(TorchDispatchMode):
    """Notes the operations of a block, on fake tensors or real ones; a view costs nothing and is left out."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []

    def __torch_dispatch__(
        self, function: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        if function.namespace == "aten" and not function.is_view and function.overloadpacket not in _MOVE_NOTHING:
            self.operations.append(_operation(function, args, kwargs, result))
        return result


def _operation(function: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Operation:
    read = list(_tensors((args, kwargs)))
    written = list(_tensors(result)) or _changed_in_place(function, args)
    times_read = 2 if function.overloadpacket in _READ_TWICE else 1
    return Operation(
        flops=_flops(function, args, kwargs, result),
        moved_bytes=times_read * sum(map(_bytes, read)) + sum(map(_bytes, written)),
        bf16=any(tensor.dtype == torch.bfloat16 for tensor in read),
    )


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _changed_in_place(function: OpOverload, args: tuple[Any, ...]) -> list[Tensor]:
    """Return the tensors that an operation without a result writes to: a fused optimizer is one."""
    given = zip(function._schema.arguments, args, strict=False)
    changed = [value for argument, value in given if argument.alias_info and argument.alias_info.is_write]
    return list(_tensors(changed))


def _flops(function: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> int:
    """Return the FLOPs of a convolution or a matrix product; the bytes of any other operation take longer."""
    out_of_place = getattr(_aten, function.overloadpacket.__name__.rstrip("_"), None)
    count = flop_registry.get(out_of_place)
    return int(count(*args, **kwargs, out_val=result)) if count else 0


def _bytes(tensor: Tensor) -> int:
    """Return what a tensor takes in memory: a broadcast one no more than what it is made of."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())
