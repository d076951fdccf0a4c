"""The loss and its gradients equal the paper's formula in float64, on one process and on several."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from simclr_steps.methods.loss import nt_xent


def reference(projections: npt.NDArray[np.float64], temperature: float) -> float:
    """Return the loss by the formula, one anchor and one positive at a time, in float64."""
    views, images, _ = projections.shape
    unit = projections / np.linalg.norm(projections, axis=-1, keepdims=True)
    places = list(itertools.product(range(views), range(images)))
    losses = []
    for view, image in places:
        others = [place for place in places if place != (view, image)]
        similarity = {place: unit[view, image] @ unit[place] / temperature for place in others}
        normalizer = np.logaddexp.reduce(list(similarity.values()))
        positives = [place for place in others if place[1] == image]
        losses.append(np.mean([normalizer - similarity[place] for place in positives]))
    return float(np.mean(losses))


def reference_gradient(projections: Tensor, temperature: float) -> Tensor:
    """Return the gradient of the formula by autograd in float64."""
    leaf = projections.double().requires_grad_()
    unit = (leaf / leaf.norm(dim=-1, keepdim=True)).flatten(0, 1)
    image = torch.arange(leaf.shape[1]).repeat(leaf.shape[0])
    itself = torch.eye(len(image), dtype=torch.bool)
    positive = (image[:, None] == image) & ~itself
    log_share = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf).log_softmax(dim=1)
    loss = -(log_share[positive].sum() / positive.sum())
    assert float(loss.detach()) == pytest.approx(reference(projections.double().numpy(), temperature), rel=1e-10)
    return torch.autograd.grad(loss, leaf)[0]


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("chunk_size", [None, 1, 7])
@pytest.mark.parametrize("temperature", [0.01, 0.5])
def test_loss_and_gradient_equal_the_formula_in_float64(views: int, chunk_size: int | None, temperature: float) -> None:
    base = torch.randn(1, 12, 16, generator=torch.Generator().manual_seed(0))
    projections = base + 2 * torch.randn(views, 12, 16, generator=torch.Generator().manual_seed(1))
    expected = reference_gradient(projections, temperature)
    projections.requires_grad_()
    loss = nt_xent(projections, temperature, chunk_size=chunk_size)
    (3 * loss).backward()
    assert loss.item() == pytest.approx(reference(projections.detach().double().numpy(), temperature), rel=1e-5)
    assert projections.grad is not None
    assert (projections.grad / 3 - expected).norm() < 1e-5 * expected.norm()


def test_small_loss_of_nearly_equal_views_at_a_low_temperature_is_exact() -> None:
    base = torch.randn(1, 64, 128, generator=torch.Generator().manual_seed(0))
    projections = base + torch.randn(2, 64, 128, generator=torch.Generator().manual_seed(1))
    expected = reference_gradient(projections, 0.01)
    loss = nt_xent(projections.requires_grad_(), 0.01)
    loss.backward()
    assert loss.item() < 1e-3
    assert loss.item() == pytest.approx(reference(projections.detach().double().numpy(), 0.01), rel=1e-5)
    assert projections.grad is not None
    assert (projections.grad - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize("views", [2, 3])
def test_one_image_alone_has_no_negatives_and_a_finite_loss(views: int) -> None:
    projections = torch.randn(views, 1, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = nt_xent(projections, 0.1)
    loss.backward()
    assert loss.item() == pytest.approx(reference(projections.detach().double().numpy(), 0.1), rel=1e-5, abs=1e-12)
    assert projections.grad is not None and torch.isfinite(projections.grad).all()


def test_loss_is_finite_for_equal_projections_at_a_low_temperature() -> None:
    projections = torch.ones(2, 6, 4, requires_grad=True)
    loss = nt_xent(projections, 0.01)
    loss.backward()
    assert loss.item() == pytest.approx(np.log(11), rel=1e-5)
    assert projections.grad is not None and torch.isfinite(projections.grad).all()


def test_loss_is_fp32_for_bf16_projections_and_under_autocast() -> None:
    projections = torch.randn(2, 32, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    expected = reference(projections.double().numpy(), 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        loss = nt_xent(projections, 0.1)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=1e-5)


class MatmulPrecisions(TorchDispatchMode):
    """Collects the precision that is set whenever matrices are multiplied."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "mm" in str(func):
            self.seen.append(torch.get_float32_matmul_precision())
        return func(*args, **(kwargs or {}))


def test_products_are_exact_where_tf32_is_allowed() -> None:
    allowed = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        with MatmulPrecisions() as precisions:
            nt_xent(torch.randn(2, 8, 4, requires_grad=True), 0.1, chunk_size=5).backward()
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(allowed)
    assert len(precisions.seen) == 12
    assert set(precisions.seen) == {"highest"}


def peak_memory(call: Callable[[], object]) -> int:
    """Return the most bytes that a call holds at a time, temporaries within operations included."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        result = call()
    held = peak = 0
    for event in profiled.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    del result
    return peak


@pytest.mark.parametrize("chunk_size", [None, 256])
def test_no_more_than_one_matrix_of_the_chunks_logits_is_held(chunk_size: int | None) -> None:
    projections = torch.randn(2, 512, 8, requires_grad=True)
    logits = 4 * 1024 * (chunk_size or 1024)
    small = 4 * 1024 * 200  # a margin for what grows with V·B alone, too little for one more matrix of 256 rows

    def forward_and_backward() -> None:
        nt_xent(projections, 0.1, chunk_size=chunk_size).backward()

    assert peak_memory(lambda: nt_xent(projections, 0.1, chunk_size=chunk_size)) < logits + small
    assert peak_memory(forward_and_backward) < logits + small


NETWORK = """
import torch
from torch import nn

def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 7), nn.ReLU(), nn.Linear(7, 4))
"""

WORKERS = """
import sys
import torch.distributed as dist
from torch.multiprocessing import get_context
from simclr_steps.methods.loss import nt_xent

def work(rank, world, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous{world}", rank=rank, world_size=world)
    mine = torch.load(f"{folder}/images.pt", weights_only=True)[:, rank::world]
    model = network()
    chunk_size = 3 if world == 4 else None
    loss = nt_xent(model(mine.flatten(0, 1)).unflatten(0, mine.shape[:2]), 0.2, chunk_size=chunk_size)
    loss.backward()
    results = [loss.detach(), *(parameter.grad for parameter in model.parameters())]
    for result in results:
        dist.all_reduce(result.div_(world))
    if rank == 0:
        torch.save(results, f"{folder}/{world}.pt")
    dist.destroy_process_group()

fork = get_context("fork")  # so that torch is imported once
ranks = [fork.Process(target=work, args=(rank, world, sys.argv[1])) for world in (2, 4) for rank in range(world)]
for rank in ranks:
    rank.start()
for rank in ranks:
    rank.join()
sys.exit(any(rank.exitcode for rank in ranks))
"""


def test_loss_and_every_gradient_of_2_and_4_processes_equal_those_of_one(tmp_path: Path) -> None:
    images = torch.randn(2, 8, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    torch.save(images, tmp_path / "images.pt")
    subprocess.run([sys.executable, "-c", NETWORK + WORKERS, str(tmp_path)], check=True, timeout=240)

    names: dict[str, Callable[[], nn.Module]] = {}
    exec(NETWORK, names)
    alone = names["network"]()
    loss = nt_xent(alone(images.flatten(0, 1)).unflatten(0, (2, 8)), 0.2)
    loss.backward()
    expected = [loss.detach(), *(parameter.grad for parameter in alone.parameters())]
    for processes in (2, 4):
        together = torch.load(tmp_path / f"{processes}.pt", weights_only=True)
        for ours, theirs in zip(together, expected, strict=True):
            assert theirs is not None
            assert (ours - theirs).norm() <= 1e-5 * theirs.norm()
