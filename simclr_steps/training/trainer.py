"""The Lightning trainer that all trainings share."""

from __future__ import annotations

import logging
import os
import warnings
from datetime import timedelta

import lightning.pytorch as L
import torch.distributed as dist
from lightning.fabric.plugins.environments import LightningEnvironment  # type: ignore[attr-defined]
from lightning.pytorch.strategies import DDPStrategy, Strategy

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.options import Devices
from simclr_steps.machine.processes import keep_freed_memory
from simclr_steps.networks.precision import allow_tf32, resolve_precision
from simclr_steps.training.checked_files import CheckedFiles
from simclr_steps.training.sync_batch_norm import SyncBatchNorm

LONGEST_WAIT = timedelta(minutes=30)  # for the other processes, at the start and then in each exchange


def build_trainer(
    devices: Devices, *, precision: str = "fp32", epochs: int = 1, callbacks: list[L.Callback] | None = None
) -> L.Trainer:
    """Return a trainer for the devices that writes, logs and draws nothing by itself."""
    gpus, processes = devices.gpus, devices.processes
    if not gpus:
        keep_freed_memory()
    precision = resolve_precision(precision, gpu=gpus > 0)
    allow_tf32(precision)
    for chatty in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # images are read in whole batches
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning's own affair
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")  # GlobalBatches is
    warnings.filterwarnings("ignore", message=".*`srun` command is available.*")  # processes are started without it
    trainer = L.Trainer(
        accelerator="gpu" if gpus else "cpu",
        devices=processes // devices.nodes,
        num_nodes=devices.nodes,
        strategy=_strategy(processes),
        # In a SLURM job Lightning would take the job's tasks for its processes and train alone.
        plugins=[LightningEnvironment(), CheckedFiles(), SyncBatchNorm()],
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        max_epochs=epochs,
        callbacks=callbacks,
        benchmark=gpus > 0,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]  # its own can hang
    if trainer.world_size != processes:
        raise RuntimeError(f"{processes} processes were asked for, but Lightning made {trainer.world_size}")
    return trainer


def _strategy(processes: int) -> Strategy | str:
    return _Meeting(gradient_as_bucket_view=True, timeout=LONGEST_WAIT) if processes > 1 else "auto"


class _Meeting(DDPStrategy):
    """DDP that says what it waits for until the processes of all nodes are there, and that it waited in vain."""

    def setup_environment(self) -> None:
        """Meet the other processes.

        Raises
        ------
        UserError
            When they are not there in time.
        """
        place = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        if self.num_nodes > 1:
            log.info("waiting for the processes of all %d nodes at %s", self.num_nodes, place)
        try:
            super().setup_environment()
        except dist.DistError as error:
            reason = str(error).partition("\n")[0]
            raise UserError(
                f"the processes of the training could not all connect to {place} ({reason}): check that each started, "
                "on every node, and that the nodes reach that address"
            ) from error
