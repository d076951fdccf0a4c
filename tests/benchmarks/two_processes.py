"""The losses of a training whose global batch is shared by several processes, which may share one device."""

from __future__ import annotations

import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from simclr_steps.data.packed import read_description, read_split
from simclr_steps.methods import random_numbers
from simclr_steps.methods.loss import nt_xent
from simclr_steps.methods.views import random_views
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.networks.precision import allow_tf32
from simclr_steps.settings.pretrain import FittedPretrain
from simclr_steps.training.batches import GlobalBatches
from simclr_steps.training.distributed import mean_of_all
from simclr_steps.training.optimizers import build_optimizer, scaled_learning_rate
from simclr_steps.training.sync_batch_norm import SyncBatchNorm


def losses(data: Path, chosen: FittedPretrain, processes: int, device: torch.device, steps: int) -> list[float]:
    """Return the global batch's loss in each step, in fp32; all processes compute on `device`.

    They talk through gloo, as NCCL takes no two processes on one GPU.
    """
    if processes == 1:
        return _train(data, chosen, 0, 1, "", str(device), steps)
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([__name__])
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(processes, server) as pool:
        meeting = Path(folder, "meeting").as_uri()
        ranks = [
            pool.submit(_train, data, chosen, rank, processes, meeting, str(device), steps) for rank in range(processes)
        ]
        return next(rank.result() for rank in ranks)


def _train(
    data: Path, chosen: FittedPretrain, rank: int, processes: int, meeting: str, device: str, steps: int
) -> list[float]:
    if processes > 1:
        dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=processes)
    torch.manual_seed(0)
    allow_tf32("fp32")
    description, images = read_description(data), read_split(data, "train").images
    architecture = resolve(chosen, description.image_format)
    network: nn.Module = Encoder(architecture)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = build_optimizer([network.parameters()], chosen, scaled_learning_rate(chosen))
    if processes > 1:
        network = DistributedDataParallel(SyncBatchNorm().apply(network))
    found = []
    batches = GlobalBatches(len(images), chosen.global_batch_size, 0, lambda: 0, rank=rank, processes=processes)
    for rows in islice(batches, steps):
        key = random_numbers.keys(0, 0, torch.from_numpy(rows).to(device), chosen.views)
        packed = torch.from_numpy(np.array(images[rows])).to(device)
        views = random_views(packed, key, chosen.augmentation, architecture.image_size)
        _, projections = network(views.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        loss = nt_xent(projections.reshape(chosen.views, len(rows), -1), chosen.temperature)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        found.append(float(mean_of_all(loss.detach())))
    if processes > 1:
        # Gloo's thread may still let go of a tensor, for which it needs the interpreter that its end would wait in.
        del network
        dist.barrier()
        dist.destroy_process_group()
    return found
