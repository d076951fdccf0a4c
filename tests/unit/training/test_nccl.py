"""A training in a group of one process, which on a GPU is one of NCCL, is the training without a group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from simclr_steps.files import read_table
from simclr_steps.machine.errors import Stopped
from simclr_steps.machine.options import NORMAL_SAVING, Hardware, Saving
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.steps.pretrain import pretrain
from simclr_steps.training import trainer
from tests.forked import SERVER

SETTINGS = PretrainSettings(
    encoder="tests.own_encoders:smooth_with_batch_norm",
    epochs=2,  # of 5 steps each
    global_batch_size=40,
    optimizer="sgd",
    learning_rate=0.1,
    learning_rate_scaling="none",
    projection_head=ProjectionHead(hidden_size=16, output_size=8),
    precision="fp32",
)


class Collectives(TorchDispatchMode):
    """Counts what processes do together, and of which numbers."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen = Counter[tuple[str, torch.dtype]]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "c10d":
            tensors = (leaf for leaf in tree_leaves(args) if isinstance(leaf, torch.Tensor))
            self.seen[func._schema.name, next(tensors).dtype] += 1
        return func(*args, **(kwargs or {}))


def train_in_a_group(data: Path, folder: Path, hardware: Hardware) -> tuple[str, Counter[tuple[str, torch.dtype]]]:
    """Train in a group of this process, which is stopped and goes on; return the backend and what was done together."""
    strategy_of = trainer._strategy
    with pytest.MonkeyPatch.context() as patch, Collectives() as collectives:
        patch.setattr(trainer, "_strategy", lambda processes: strategy_of(2))

        def train(saving: Saving) -> None:
            out, work = folder / "group", folder / "work"
            pretrain(SETTINGS, data=data, seed=0, out=out, work=work, hardware=hardware, saving=saving)

        with pytest.raises(Stopped, match="saved at step 2 of 10"):
            train(Saving(leave_by=0.0))
        train(NORMAL_SAVING)
    backend = dist.get_backend()
    dist.destroy_process_group()
    return backend, collectives.seen


@pytest.mark.parametrize(
    ("gpus", "backend", "within"), [(0, "gloo", 1e-6), pytest.param(1, "nccl", 1e-3, marks=pytest.mark.gpu)]
)
def test_training_in_a_group_of_one_is_stopped_goes_on_and_has_the_losses_of_one_without(
    tmp_path: Path, write_packed: Callable[..., Path], gpus: int, backend: str, within: float
) -> None:
    data, hardware = write_packed(), Hardware(gpus=gpus)
    with ProcessPoolExecutor(1, SERVER) as pool:
        used, seen = pool.submit(train_in_a_group, data, tmp_path, hardware).result()
    assert used == backend
    assert seen["c10d::allgather_", torch.float32] == 10  # of the loss, in each step, none of which is taken twice
    assert seen["c10d::_allgather_base_", torch.float32] == 20  # of the two batch norms
    assert seen["c10d::allreduce_", torch.float32] > 20  # of their gradients, and of all gradients
    assert seen["c10d::allreduce_", torch.float64]  # of history's means
    assert seen["c10d::allreduce_", torch.int64]  # of what is agreed

    pretrain(SETTINGS, data=data, seed=0, out=tmp_path / "alone", work=tmp_path / "alone.work", hardware=hardware)
    for one, other in zip(
        *(read_table(tmp_path / name / "history.csv")[1:] for name in ("group", "alone")), strict=True
    ):
        for column in ("loss", "validate_loss"):
            assert float(one[column]) == pytest.approx(float(other[column]), rel=within)
