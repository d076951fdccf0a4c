"""Micro-batches give the loss and the gradients of the whole batch, and move running statistics once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from simclr_steps.methods.loss import nt_xent
from simclr_steps.methods.micro_batches import in_micro_batches
from tests.own_encoders import with_batch_norm, without_batch_norm


def equal(gradients: list[Tensor], expected: list[Tensor], within: float = 1e-12) -> bool:
    """Compare gradients in float64: in float32 rounding alone parts them by up to 2e-5."""
    return all((a - b).norm() < within * b.norm() for a, b in zip(gradients, expected, strict=True))


class TwoOutputs(nn.Module):
    """A network that returns features and projections, and notes how many images it sees at once."""

    def __init__(self, backbone: nn.Module, features: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(features, 6)
        self.seen: list[int] = []

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(len(images))
        features = self.backbone(images)
        return features, self.head(features)


def train_once(network: nn.Module, images: Tensor, size: int | None, **autocast: Any) -> tuple[float, list[Tensor]]:
    """Return loss and gradients of one step on two views of each image."""
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bool(autocast)):
        _, projections = in_micro_batches(network, images, size)
        loss = nt_xent(projections.reshape(2, len(images) // 2, -1), 0.2)
    loss.backward()
    return float(loss.detach()), [
        parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None
    ]


@pytest.mark.parametrize(("size", "sizes"), [(6, [6, 6]), (5, [4, 4, 4]), (7, [6, 6]), (8, [6, 6]), (12, [12])])
def test_loss_and_gradients_are_those_of_the_whole_batch(size: int, sizes: list[int]) -> None:
    network = TwoOutputs(without_batch_norm(3, (8, 8)), 16).double()
    images = torch.rand(12, 3, 8, 8, dtype=torch.float64)
    whole_loss, whole = train_once(network, images, None)
    network.seen.clear()
    loss, gradients = train_once(network, images, size)
    assert network.seen[: len(sizes)] == sizes
    assert loss == pytest.approx(whole_loss, rel=1e-6)
    assert len(gradients) == len(whole) == 8
    assert equal(gradients, whole)


def test_batch_that_does_not_divide_is_shared_as_equally_as_can_be() -> None:
    network = TwoOutputs(without_batch_norm(1, (8, 8)), 16).double()
    images = torch.rand(14, 1, 8, 8, dtype=torch.float64)
    whole_loss, whole = train_once(network, images, None)
    network.seen.clear()
    loss, gradients = train_once(network, images, 4)
    assert network.seen[:4] == [4, 4, 3, 3] and loss == pytest.approx(whole_loss, rel=1e-6)
    assert equal(gradients, whole)


def test_gradients_in_bf16_are_those_of_the_whole_batch_in_bf16() -> None:
    torch.manual_seed(0)
    network = TwoOutputs(without_batch_norm(3, (8, 8)), 16)
    images = torch.rand(12, 3, 8, 8)
    whole_loss, whole = train_once(network, images, None, bf16=True)
    loss, gradients = train_once(network, images, 5, bf16=True)
    fp32_loss, _ = train_once(network, images, None)
    assert loss == whole_loss != fp32_loss
    assert all((a - b).norm() < 0.03 * b.norm() for a, b in zip(gradients, whole, strict=True))


def test_running_statistics_move_once_and_dropout_is_drawn_once() -> None:
    """The second pass must leave no trace and meet the same dropout: it is compared with one without checkpoints."""
    images = torch.rand(12, 3, 8, 8)
    network = TwoOutputs(with_batch_norm(3, (8, 8)), 8)
    twin = TwoOutputs(with_batch_norm(3, (8, 8)), 8)
    twin.load_state_dict(network.state_dict())
    torch.manual_seed(0)
    loss, gradients = train_once(network, images, 6)

    torch.manual_seed(0)
    projections = torch.cat([twin(part)[1] for part in images.split(6)])
    expected = nt_xent(projections.reshape(2, 6, -1), 0.2)
    expected.backward()
    assert loss == pytest.approx(float(expected.detach()), rel=1e-6)
    for gradient, parameter in zip(gradients, twin.parameters(), strict=True):
        assert parameter.grad is not None and torch.allclose(gradient, parameter.grad, rtol=1e-5, atol=1e-6)
    statistics = dict(network.named_buffers())
    assert int(statistics["backbone.1.num_batches_tracked"]) == 2
    assert all(torch.equal(buffer, statistics[name]) for name, buffer in twin.named_buffers())


def test_activations_of_one_micro_batch_live_at_a_time() -> None:
    """What autograd keeps between the two passes is the images alone."""
    network = TwoOutputs(without_batch_norm(3, (16, 16)), 16)
    images = torch.rand(64, 3, 16, 16)

    def kept(size: int | None) -> int:
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.nbytes) or x, lambda x: x):  # type: ignore[func-returns-value]
            in_micro_batches(network, images, size)
        return sum(sizes)

    assert kept(8) == images.nbytes < kept(None) / 10


WORKER = """
import sys, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from tests.unit.methods.test_micro_batches import ContrastiveStep, TwoOutputs, without_batch_norm
rank, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
data = torch.load(f"{folder}/data.pt", weights_only=True)
network = TwoOutputs(without_batch_norm(3, (8, 8)), 16).double()
network.load_state_dict(data["weights"])
step = DistributedDataParallel(ContrastiveStep(network, 3), gradient_as_bucket_view=True)
step(data["images"][:, rank::2]).backward()
if rank == 0:
    torch.save([parameter.grad for parameter in network.parameters()], f"{folder}/gradients.pt")
dist.destroy_process_group()
"""


class ContrastiveStep(nn.Module):
    """From the views [2, B, C, H, W] of a process's images to their loss, in micro-batches."""

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network, self.size = network, size

    def forward(self, views: Tensor) -> Tensor:
        _, projections = in_micro_batches(self.network, views.flatten(0, 1), self.size)
        return nt_xent(projections.unflatten(0, views.shape[:2]), 0.2)


@pytest.mark.slow
def test_two_processes_in_micro_batches_have_the_gradients_of_one_whole_batch(tmp_path: Path) -> None:
    network = TwoOutputs(without_batch_norm(3, (8, 8)), 16).double()
    images = torch.rand(2, 8, 3, 8, 8, dtype=torch.float64)
    torch.save({"weights": network.state_dict(), "images": images}, tmp_path / "data.pt")
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    _, whole = train_once(network, images.flatten(0, 1), None)
    together = torch.load(tmp_path / "gradients.pt", weights_only=True)
    assert equal(together, whole, within=1e-5)  # the loss is computed in float32


def test_pretraining_in_micro_batches_is_that_of_whole_batches(
    tmp_path: Path, write_packed: Callable[..., Path]
) -> None:
    from simclr_steps.files import read_json, read_table
    from simclr_steps.machine.options import Hardware
    from simclr_steps.settings.network import ProjectionHead
    from simclr_steps.settings.pretrain import PretrainSettings
    from simclr_steps.steps.pretrain import pretrain

    data = write_packed()
    settings = PretrainSettings(
        encoder="tests.own_encoders:without_batch_norm",
        projection_head=ProjectionHead(hidden_size=32, output_size=16),
        epochs=2,
        global_batch_size=40,
        temperature=0.2,
        optimizer="lars",
        learning_rate=0.5,
        precision="fp32",
    )
    histories = []
    for name, size in (("whole", None), ("micro", 24)):
        chosen = settings.model_copy(update={"micro_batch_size": size})
        out, work = tmp_path / name, tmp_path / f"{name}.work"
        pretrain(chosen, data=data, seed=0, out=out, work=work, hardware=Hardware(gpus=0))
        rows = read_table(out / "history.csv")[1:]
        histories.append([float(row[column]) for row in rows for column in ("loss", "validate_loss", "learning_rate")])
    assert histories[0] == pytest.approx(histories[1], rel=1e-5)
    assert histories[0][3] < histories[0][0]
    assert len(read_json(tmp_path / "micro" / "run.json")["architecture"]["own_code_hash"]) == 16
