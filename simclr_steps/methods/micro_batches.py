"""Batches larger than the memory: images pass through a network a few at a time, and again for their gradients."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from simclr_steps.networks.buffers import on_copies_of_buffers


def in_micro_batches(network: nn.Module, images: Tensor, size: int | None) -> tuple[Tensor, ...]:
    """Return the outputs of a network for a batch, as if all images passed through it at once.

    The activations of a micro-batch are thrown away and made again when its gradient is computed (Gao et al., "Scaling
    Deep Contrastive Learning Batch Size under Memory Limited Setup", 2021; Chen et al., "Training Deep Nets with
    Sublinear Memory Cost", 2016). So a loss that compares all images has the gradients of the whole batch, in the
    memory of one micro-batch. Batch norm normalizes each micro-batch by itself, and its running statistics move once
    for each.

    Parameters
    ----------
    images
        [N, ...].
    size
        Most images of a micro-batch, which are as equal as can be; None takes them all at once.
    """
    if size is None or len(images) <= size:
        outputs: tuple[Tensor, ...] = network(images)
        return outputs

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), on_copies_of_buffers(network)

    parts = [
        checkpoint(network, part, use_reentrant=False, context_fn=contexts)
        for part in images.tensor_split(math.ceil(len(images) / size))
    ]
    return tuple(torch.cat(outputs) for outputs in zip(*parts, strict=True))
