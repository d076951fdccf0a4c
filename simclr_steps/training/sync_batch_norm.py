"""Batch norm over the images of all processes, so that a global batch is normalized alike however it is shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from lightning.pytorch.plugins.layer_sync import LayerSync
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode


class SyncBatchNorm(LayerSync):
    """Lightning's plugin for a model that several processes train, on GPUs or CPUs.

    Layers stay the objects that they are, with their parameters, buffers and names, and so does all that a subclass
    adds to batch norm: timm's has an activation, which torch.nn.SyncBatchNorm.convert_sync_batchnorm would lose.
    """

    def apply(self, model: nn.Module) -> nn.Module:
        """Have every batch norm of a model normalize over all processes while it trains; return the model."""
        for layer in batch_norms(model):
            layer.forward = _over_all_processes(layer)
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Undo what `apply` did."""
        for layer in batch_norms(model):
            layer.__dict__.pop("forward", None)  # which is not there where the processes never met
        return model


def batch_norms(model: nn.Module) -> list[nn.Module]:
    """Return the layers of a model that normalize over a batch."""
    return [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]


def _over_all_processes(layer: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return a layer's forward pass in which, while it trains, `batch_norm` stands in for torch's."""
    alone: Callable[[Tensor], Tensor] = layer.forward

    def forward(x: Tensor) -> Tensor:
        if not layer.training:
            return alone(x)
        with _BatchNormOfAll():
            return alone(x)

    return forward


class _BatchNormOfAll(TorchFunctionMode):
    """Replaces torch.nn.functional.batch_norm by this module's."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return (batch_norm if func is F.batch_norm else func)(*args, **(kwargs or {}))


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return what torch.nn.functional.batch_norm returns for the images of all processes together.

    Ioffe and Szegedy, "Batch Normalization", 2015. In training every process calls it with as many images. A layer
    costs one all-gather forward and one all-reduce backward, each of two numbers for each channel. No device waits for
    its host, which torch.nn.SyncBatchNorm makes it do in each layer to leave out processes without images. The kernels
    are those that CPUs and CUDA have in common: of bf16 they move 20 bytes for each number of `x`, forward and
    backward, where SyncBatchNorm's own, which need CUDA, move 16.

    Parameters
    ----------
    x
        float [N, C, ...] of this process, in any memory format, which the result has, too.
    running_mean, running_var
        [C], updated in place while training, with the unbiased variance of all images.
    weight, bias
        [C]. Their gradients are of this process's images, for DistributedDataParallel to take the mean.

    Returns
    -------
    x's shape and dtype. Statistics and sums are in float32, those of float64 in float64.
    """
    if not training:
        return F.batch_norm(x, running_mean, running_var, weight, bias, eps=eps)
    mean, variance = _statistics(x)
    if running_mean is not None and running_var is not None:
        count = _count(x)
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(variance * (count / (count - 1)), momentum)
    weight = torch.ones_like(mean) if weight is None else weight
    bias = torch.zeros_like(mean) if bias is None else bias
    normalized: Tensor = _Normalize.apply(x, mean, variance, weight, bias, eps)  # type: ignore[no-untyped-call]
    return normalized


def _count(x: Tensor) -> int:
    """Return how many numbers of all processes a channel has."""
    return x.numel() // x.shape[1] * dist.get_world_size()


@torch.no_grad()
def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the biased variance, each [C], of the images of all processes.

    Of parts of equal size, the mean is the mean of their means, and the variance is the mean of their variances plus
    the variance of their means (Chan et al., "Algorithms for Computing the Sample Variance", 1983), which cancels
    nothing where a mean is large.
    """
    # Running statistics tell the kernel its dtype, and a momentum of 0 leaves them as they are.
    running = torch.zeros(2, x.shape[1], dtype=torch.promote_types(x.dtype, torch.float32), device=x.device)
    own = torch.stack(torch.batch_norm_update_stats(x, running[0], running[1], momentum=0.0))
    everyones = own.repeat(dist.get_world_size(), 1)
    dist.all_gather_into_tensor(everyones, own)
    means, variances = everyones[0::2], everyones[1::2]
    return means.mean(0), variances.mean(0) + means.var(0, correction=0)


class _Normalize(torch.autograd.Function):
    """Batch norm by given statistics, whose gradient is that of statistics taken of all processes' images."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, mean, variance, weight)
        ctx.eps = eps
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """With x̂ the normalized x and means over all images, ∂x = scale · (∂y - mean(∂y) - x̂ · mean(∂y · x̂))."""
        x, mean, variance, weight = ctx.saved_tensors
        inverse = (variance + ctx.eps).rsqrt()
        _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, mean, variance, mean, inverse, False, ctx.eps, [False, True, True]
        )
        sums = torch.stack([of_weight, of_bias])
        dist.all_reduce(sums)
        scale = weight * inverse
        of_statistics = -scale * sums / _count(x)
        of_x = F.batch_norm(x, mean, variance, of_statistics[0], of_statistics[1], eps=ctx.eps)
        of_x.addcmul_(gradient, scale.view(-1, *[1] * (x.ndim - 2)))
        return of_x, None, None, of_weight, of_bias, None
