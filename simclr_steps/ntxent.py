"""The contrastive loss: normalised temperature-scaled cross entropy (NT-Xent)."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor


def nt_xent(projections: Tensor, temperature: float, *, across_processes: bool = True) -> Tensor:
    """Return the NT-Xent loss of this process's images against the images of all processes, or against its own.

    Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020, equation 1. With more
    than two views every other view of an image is a positive, and an anchor's loss is the mean over its positives
    (Khosla et al., "Supervised Contrastive Learning", 2020, equation 2, each image being its own class).

    Parameters
    ----------
    projections: float [V, B, D], V ≥ 2 views of this process's B images; every process holds the same B.
    temperature: above 0.

    Returns
    -------
    float32 scalar, the mean over this process's V·B anchors. The mean over processes is the loss of the global
    batch, and so the mean of their gradients (which DistributedDataParallel takes) is its gradient.
    """
    views, images, size = projections.shape
    anchors = F.normalize(projections.float(), dim=-1)
    gathers = across_processes and dist.is_available() and dist.is_initialized()
    everyone = _gather_images(anchors) if gathers else anchors
    first_image = images * dist.get_rank() if gathers else 0

    logits = anchors.reshape(views * images, size) @ everyone.reshape(-1, size).T / temperature
    image = torch.arange(images, device=logits.device) + first_image
    columns = torch.arange(views, device=logits.device)[:, None] * everyone.shape[1]
    same_image = (columns + image).T.repeat(views, 1)  # [V·B, V]: the columns that show an anchor's own image
    itself = torch.arange(views, device=logits.device).repeat_interleave(images)[:, None]

    logits = logits.scatter(1, same_image.gather(1, itself), float("-inf"))
    positives = logits.gather(1, same_image).scatter(1, itself, 0.0).sum(dim=1) / (views - 1)
    return (torch.logsumexp(logits, dim=1) - positives).mean()


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
