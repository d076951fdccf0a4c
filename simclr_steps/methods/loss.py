"""The contrastive loss: normalized temperature-scaled cross entropy (NT-Xent)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def nt_xent(
    projections: Tensor, temperature: float, *, chunk_size: int | None = None, across_processes: bool = True
) -> Tensor:
    """Return the NT-Xent loss of this process's images against the images of all processes, or against its own.

    Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020, equation 1. With more
    than two views every other view of an image is a positive, and an anchor's loss is the mean over its positives
    (Khosla et al., "Supervised Contrastive Learning", 2020, equation 2, each image being its own class).

    Parameters
    ----------
    projections
        float [V, B, D], V ≥ 2 views of this process's B images; every process holds the same B.
    temperature
        Above 0.
    chunk_size
        Anchors whose similarities to all projections are held at a time, None for all V·B of them. The loss and its
        gradient do not depend on it, and neither do the products that they take.

    Returns
    -------
    float32 scalar, the mean over this process's V·B anchors, computed in float32 whatever autocast and TF32 settings
    are on. The mean over processes is the loss of the global batch, and so the mean of their gradients (which
    DistributedDataParallel takes) is its gradient.
    """
    with torch.autocast(projections.device.type, enabled=False):
        anchors = F.normalize(projections.float(), dim=-1)
        gathers = across_processes and dist.is_available() and dist.is_initialized()
        everyone = _gather_images(anchors) if gathers else anchors
        first_image = projections.shape[1] * dist.get_rank() if gathers else 0
        loss: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
            anchors, everyone, first_image, temperature, chunk_size
        )
        return loss


class _CrossEntropy(torch.autograd.Function):
    """The mean cross entropy of anchors [V, B, D] among everyone's projections [V, G, D], all of length 1.

    The forward pass takes the gradient too, while it has the similarities, so that they need not be kept: at its
    widest it holds one float32 matrix of `chunk_size` × V·G, which is changed in place from logits to their gradient.
    """

    @staticmethod
    def forward(
        ctx: Any, anchors: Tensor, everyone: Tensor, first_image: int, temperature: float, chunk_size: int | None
    ) -> Tensor:
        queries, columns = anchors.flatten(0, 1) / temperature, everyone.flatten(0, 1)
        own = _own_columns(anchors, everyone, first_image)
        gradients = torch.empty_like(queries), torch.zeros_like(columns)
        loss = torch.zeros((), device=anchors.device)
        with _highest_precision():
            for part, own_part, gradient in zip(
                *(tensor.split(chunk_size or len(queries)) for tensor in (queries, own, gradients[0])), strict=True
            ):
                into = (gradient, gradients[1]) if any(ctx.needs_input_grad) else None
                loss += _sum_losses(part, columns, own_part, into)
        of_anchors, of_everyone = (gradient.div_(len(queries)) for gradient in gradients)
        ctx.save_for_backward(of_anchors.div_(temperature).view_as(anchors), of_everyone.view_as(everyone))
        return loss / len(queries)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        of_anchors, of_everyone = ctx.saved_tensors
        return gradient * of_anchors, gradient * of_everyone, None, None, None


def _sum_losses(queries: Tensor, columns: Tensor, own: Tensor, gradients: tuple[Tensor, Tensor] | None) -> Tensor:
    """Return the sum of the losses of n queries [n, D] among columns [V·G, D], and set or add to their gradients.

    The queries' gradient is set, the columns' is added to. `own`, int64 [n, V], is as `_own_columns` returns it.
    """
    logits = queries @ columns.T
    # Positives and negatives are summed apart: a small loss would otherwise be lost next to the positives' weight.
    positives = logits.gather(1, own[:, 1:])
    of_positives = positives.logsumexp(dim=1, keepdim=True)
    logits.scatter_(1, own, float("-inf"))
    largest = logits.amax(dim=1, keepdim=True).clamp_min_(torch.finfo().min)  # finite without negatives
    weights = logits.sub_(largest).exp_()
    gap = weights.sum(dim=1, keepdim=True).log_() + largest - of_positives
    excess = F.softplus(gap)
    if gradients is not None:
        weights.mul_((largest - of_positives - excess).exp_())
        share = (positives - of_positives).exp_()
        weights.scatter_(1, own[:, 1:], share - 1 / positives.shape[1] - share * gap.sigmoid())
        torch.mm(weights, columns, out=gradients[0])
        gradients[1].addmm_(weights.T, queries)
    return (of_positives - positives.mean(dim=1, keepdim=True) + excess).sum()


def _own_columns(anchors: Tensor, everyone: Tensor, first_image: int) -> Tensor:
    """Return the columns of each anchor's image among everyone's, int64 [V·B, V]: itself and then its positives."""
    views, images, _ = anchors.shape
    image = torch.arange(images, device=anchors.device) + first_image
    view = torch.arange(views, device=anchors.device)
    shown = (view[:, None] + view) % views  # [V, V]: a view itself and then the others
    return (shown[:, None] * everyone.shape[1] + image[:, None]).flatten(0, 1)


@contextmanager
def _highest_precision() -> Iterator[None]:
    """Multiply float32 matrices as they are, where TF32 or bf16 is allowed too."""
    allowed = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(allowed)


def _gather_images(anchors: Tensor) -> Tensor:
    """Return the [V, B·processes, D] projections of all processes, in the order of their ranks."""
    return torch.cat(list(_AllGather.apply(anchors)), dim=1)  # type: ignore[no-untyped-call]


class _AllGather(torch.autograd.Function):
    """Gather a tensor from all processes; the gradient of a piece is summed over all who used it."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, piece: Tensor) -> tuple[Tensor, ...]:
        pieces = [torch.empty_like(piece) for _ in range(dist.get_world_size())]
        dist.all_gather(pieces, piece.contiguous())
        return tuple(pieces)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        total = torch.stack(gradients)
        dist.all_reduce(total)
        return total[dist.get_rank()]
