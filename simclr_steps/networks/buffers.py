"""The buffers of a network, such as batch norm's running statistics, kept from a pass that is not to count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def on_copies_of_buffers(network: nn.Module) -> Iterator[None]:
    """Let a network change copies of its buffers, in place or by assignment; they are thrown away in the end."""
    kept = [(module, name, buffer) for module in network.modules() for name, buffer in module.named_buffers("", False)]
    for module, name, buffer in kept:
        setattr(module, name, buffer.clone())
    try:
        yield
    finally:
        for module, name, buffer in kept:
            setattr(module, name, buffer)
