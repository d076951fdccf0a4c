"""The loss and its gradients equal the paper's formula in float64, on one process and on several."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from simclr_steps.ntxent import nt_xent


def reference(projections: npt.NDArray[np.float64], temperature: float) -> float:
    """Return the loss by the formula, one anchor and one positive at a time, in float64."""
    views, images, _ = projections.shape
    unit = projections / np.linalg.norm(projections, axis=-1, keepdims=True)
    places = list(itertools.product(range(views), range(images)))
    losses = []
    for view, image in places:
        others = [place for place in places if place != (view, image)]
        similarity = {place: unit[view, image] @ unit[place] / temperature for place in others}
        normaliser = np.logaddexp.reduce(list(similarity.values()))
        positives = [place for place in others if place[1] == image]
        losses.append(np.mean([normaliser - similarity[place] for place in positives]))
    return float(np.mean(losses))


@pytest.mark.parametrize("views", [2, 3, 4])
@pytest.mark.parametrize("temperature", [0.01, 0.1, 0.5])
def test_loss_equals_the_formula_in_float64(views: int, temperature: float) -> None:
    projections = torch.from_numpy(np.random.default_rng(0).normal(size=(views, 5, 8)))
    expected = reference(projections.numpy(), temperature)
    assert float(nt_xent(projections, temperature)) == pytest.approx(expected, rel=1e-5)


def test_gradient_equals_finite_differences_of_the_formula() -> None:
    values = np.random.default_rng(1).normal(size=(2, 4, 3))
    projections = torch.tensor(values, requires_grad=True)
    nt_xent(projections, 0.5).backward()
    assert projections.grad is not None
    for place in itertools.product(range(2), range(4), range(3)):
        step = np.zeros_like(values)
        step[place] = 1e-5
        slope = (reference(values + step, 0.5) - reference(values - step, 0.5)) / 2e-5
        assert float(projections.grad[place]) == pytest.approx(slope, rel=1e-3, abs=2e-6)


def test_loss_is_finite_for_equal_projections_at_a_low_temperature() -> None:
    projections = torch.ones(2, 6, 4, requires_grad=True)
    loss = nt_xent(projections, 0.01)
    loss.backward()
    assert float(loss) == pytest.approx(np.log(11), rel=1e-5)
    assert projections.grad is not None and torch.isfinite(projections.grad).all()


def test_half_precision_projections_are_compared_in_fp32() -> None:
    projections = torch.randn(2, 32, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert nt_xent(projections, 0.1).dtype == torch.float32
    assert float(nt_xent(projections, 0.1)) == pytest.approx(reference(projections.double().numpy(), 0.1), rel=1e-5)


WORKER = """
import sys, torch, torch.distributed as dist
from simclr_steps.ntxent import nt_xent
rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world)
data = torch.load(f"{folder}/data.pt", weights_only=True)
weight = data["weight"].clone().requires_grad_()
mine = data["images"][:, rank::world]
loss = nt_xent(mine @ weight, 0.2)
loss.backward()
mean = loss.detach().clone()
dist.all_reduce(mean); dist.all_reduce(weight.grad)
if rank == 0:
    torch.save({"loss": mean / world, "gradient": weight.grad / world}, f"{folder}/result.pt")
dist.destroy_process_group()
"""


@pytest.mark.parametrize("processes", [2, 4])
def test_negatives_and_gradients_of_all_processes_equal_one_process(tmp_path: Path, processes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 8, 6, generator=generator)
    weight = torch.randn(6, 5, generator=generator)
    torch.save({"images": images, "weight": weight}, tmp_path / "data.pt")
    arguments = [sys.executable, "-c", WORKER]
    workers = [subprocess.Popen([*arguments, str(rank), str(processes), str(tmp_path)]) for rank in range(processes)]
    assert [worker.wait(timeout=120) for worker in workers] == [0] * processes
    together = torch.load(tmp_path / "result.pt", weights_only=True)

    alone = weight.clone().requires_grad_()
    loss = nt_xent(images @ alone, 0.2)
    loss.backward()
    assert alone.grad is not None
    assert float(together["loss"]) == pytest.approx(float(loss), rel=1e-5)
    assert torch.allclose(together["gradient"], alone.grad, rtol=1e-5, atol=1e-6)
