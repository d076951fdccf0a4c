"""Batch norm over all processes is that of their whole batch: its outputs, gradients and running statistics."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.modules._functions import SyncBatchNorm as TorchSyncBatchNorm

from simclr_steps.training.sync_batch_norm import SyncBatchNorm, batch_norm
from tests.unit.groups import in_group

PROCESSES = 2
FLAT, LAST, LAST_3D = torch.contiguous_format, torch.channels_last, torch.channels_last_3d


def train(layer: nn.Module, batches: list[Tensor], factors: list[Tensor]) -> dict[str, Tensor]:
    """Return all that a layer makes of some batches if the loss is the sum of its outputs times the factors."""
    made: dict[str, Tensor] = {}
    for number, (batch, factor) in enumerate(zip(batches, factors, strict=True)):
        x = batch.clone().requires_grad_()
        output = layer(x)
        assert output.dtype == x.dtype and output.stride() == x.stride()
        output.backward(factor)
        assert x.grad is not None
        made |= {f"output {number}": output.detach(), f"input's gradient {number}": x.grad}
    made |= {f"{name}'s gradient": weight.grad for name, weight in layer.named_parameters() if weight.grad is not None}
    return made | layer.state_dict()


def train_share(layer: nn.Module, batches: list[Tensor], factors: list[Tensor]) -> dict[str, Tensor]:
    """Return what a process makes of its share of the images."""
    shares = [[tensor.chunk(PROCESSES)[dist.get_rank()] for tensor in tensors] for tensors in (batches, factors)]
    return train(SyncBatchNorm().apply(layer), *shares)


def of_all(shares: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Put together what the processes made: images, sums over images, and what each of them knows."""
    made = dict(shares[0])
    for name in made:
        parts = [share[name] for share in shares]
        if name.startswith(("output", "input")):
            made[name] = torch.cat(parts)
        elif name.endswith("gradient"):
            made[name] = torch.stack(parts).sum(0)
        else:
            assert all(torch.equal(part, parts[0]) for part in parts)
    return made


@pytest.mark.parametrize(
    ("layer", "shape", "memory_format"),
    [
        pytest.param(nn.BatchNorm1d(5), (12, 5), FLAT, id="vectors"),
        pytest.param(nn.BatchNorm1d(5), (2, 5), FLAT, id="one image each"),
        pytest.param(nn.BatchNorm1d(5), (12, 5, 4), FLAT, id="1d"),
        pytest.param(nn.BatchNorm2d(5), (12, 5, 4, 3), FLAT, id="2d"),
        pytest.param(nn.BatchNorm2d(5), (12, 5, 4, 3), LAST, id="2d, channels last"),
        pytest.param(nn.BatchNorm3d(5), (12, 5, 4, 3, 2), LAST_3D, id="3d, channels last"),
        pytest.param(nn.BatchNorm2d(5, affine=False), (12, 5, 4, 3), LAST, id="without weights"),
        pytest.param(nn.BatchNorm2d(5, track_running_stats=False), (12, 5, 4, 3), LAST, id="no running statistics"),
        pytest.param(nn.BatchNorm2d(5, momentum=None), (12, 5, 4, 3), LAST, id="statistics of all batches"),
        pytest.param(BatchNormAct2d(5), (12, 5, 4, 3), LAST, id="timm's, with its activation"),
    ],
)
def test_two_processes_normalize_as_one_does_with_all_images(
    layer: nn.Module, shape: tuple[int, ...], memory_format: torch.memory_format
) -> None:
    layer = layer.double()
    for weight in layer.parameters():
        nn.init.uniform_(weight, 0.5, 2)
    batches = [(3 + 2 * torch.randn(shape).double()).contiguous(memory_format=memory_format) for _ in range(2)]
    factors = [torch.randn(shape).double() for _ in range(2)]
    together = of_all(in_group(PROCESSES, train_share, layer, batches, factors))
    alone = train(copy.deepcopy(layer), batches, factors)
    assert together.keys() == alone.keys()
    for name, expected in alone.items():
        torch.testing.assert_close(together[name], expected, rtol=1e-12, atol=1e-12)


def test_statistics_of_bf16_are_those_of_fp32_and_so_are_gradients_but_for_their_rounding() -> None:
    layer, shape = nn.BatchNorm2d(5), (32, 5, 8, 8)
    batches, factors = ([torch.randn(shape).bfloat16().contiguous(memory_format=LAST)] for _ in range(2))
    together = of_all(in_group(PROCESSES, train_share, layer, batches, factors))
    exact = train(copy.deepcopy(layer).double(), [batches[0].double()], [factors[0].double()])
    for name, expected in exact.items():
        within = 2**-8 if together[name].dtype == torch.bfloat16 else 1e-5
        torch.testing.assert_close(together[name].double(), expected.double(), rtol=within, atol=within)


def test_variance_is_exact_beside_a_mean_a_thousand_times_as_large() -> None:
    batch = 1000 + torch.arange(2.0).repeat_interleave(32)[:, None] + torch.randn(64, 5)
    layer = nn.BatchNorm1d(5, momentum=1.0)
    together = of_all(in_group(PROCESSES, train_share, layer, [batch], [torch.ones_like(batch)]))
    torch.testing.assert_close(together["running_var"].double(), batch.double().var(0), rtol=1e-4, atol=0)


def evaluate_on_the_leader(layer: nn.Module, batch: Tensor) -> Tensor | None:
    layer = SyncBatchNorm().apply(layer).eval()
    return layer(batch) if dist.get_rank() == 0 else None


@pytest.mark.parametrize("tracks", [True, False])
def test_one_process_evaluates_without_the_others(tracks: bool) -> None:
    layer, batch = nn.BatchNorm1d(5, track_running_stats=tracks).requires_grad_(False), torch.randn(12, 5)
    evaluated, _ = in_group(PROCESSES, evaluate_on_the_leader, layer, batch)
    torch.testing.assert_close(evaluated, layer.eval()(batch))


def test_layers_are_again_what_they_were_when_the_training_has_ended() -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Sequential(BatchNormAct2d(5)))
    parameters, batch = list(network.parameters()), torch.randn(4, 3, 8, 8)
    converted = SyncBatchNorm().apply(network)
    assert all(one is other for one, other in zip(converted.parameters(), parameters, strict=True))
    with pytest.raises(ValueError, match="process group"):
        converted(batch)
    SyncBatchNorm().revert(converted)(batch)


@pytest.fixture
def nccl_group(tmp_path: Path) -> Iterator[None]:
    """A group of this process and its GPU."""
    dist.init_process_group("nccl", init_method=(tmp_path / "meeting").as_uri(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gpu_normalizes_as_torchs_own_and_never_waits(nccl_group: None, dtype: torch.dtype) -> None:
    device, shape = torch.device("cuda", 0), (64, 32, 16, 16)
    batch, factor = (torch.randn(shape, device=device).to(dtype, memory_format=LAST) for _ in range(2))
    weight, bias = (torch.rand(32, device=device) for _ in range(2))

    def run(*, ours: bool) -> list[Tensor]:
        mean, variance = torch.zeros(32, device=device), torch.ones(32, device=device)
        x, w, b = (tensor.clone().requires_grad_() for tensor in (batch, weight, bias))
        if ours:
            y = batch_norm(x, mean, variance, w, b, training=True)
        else:
            y = TorchSyncBatchNorm.apply(x, w, b, mean, variance, 1e-5, 0.1, dist.group.WORLD, 1)
        return [y.detach(), *torch.autograd.grad(y, (x, w, b), factor), mean, variance]

    run(ours=True)  # the first sets up NCCL
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = run(ours=True)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for one, other in zip(found, run(ours=False), strict=True):
        within = 2**-7 if one.dtype == torch.bfloat16 else 1e-3
        assert one.dtype == other.dtype and one.stride() == other.stride()
        torch.testing.assert_close(one, other, rtol=within, atol=within)
