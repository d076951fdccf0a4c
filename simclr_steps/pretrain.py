"""Train an encoder with SimCLR on the train and unlabelled splits."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from simclr_steps import random_numbers
from simclr_steps.architecture import resolve
from simclr_steps.augmentation import random_views
from simclr_steps.checkpoints import Candidates, current_candidate, write_candidate
from simclr_steps.encoders import Encoder
from simclr_steps.errors import UserError
from simclr_steps.files import whole_folder, write_json, write_table
from simclr_steps.hardware import Hardware
from simclr_steps.images import Images
from simclr_steps.logs import log
from simclr_steps.ntxent import nt_xent
from simclr_steps.optimisers import build_optimiser, build_schedule, scaled_learning_rate
from simclr_steps.packed import read_description, read_split
from simclr_steps.provenance import Record
from simclr_steps.sampling import GlobalBatches
from simclr_steps.settings import PretrainSettings
from simclr_steps.training import History, SaveWork, build_trainer, fit
from simclr_steps.work_folder import work_folder

_HOLD_OUT_EPOCH = -1  # the epoch from which the hold-out's views are drawn, the same each time


def pretrain(settings: PretrainSettings, *, data: Path, seed: int, out: Path, work: Path, hardware: Hardware) -> None:
    """Train an encoder and write its candidates.

    Writes into `out`: rank1.ckpt to rank3.ckpt (least validation loss first, as many as there are), last.ckpt,
    checkpoints.csv, history.csv and run.json. Never reads the test split.
    """
    description = read_description(data)
    record = Record("pretrain", settings, description.content_hash, seed)
    images = Images([read_split(data, split).images for split in ("train", "unlabelled")])
    hold_out = Images([read_split(data, "validation").images])
    _check_batch(settings, len(images), hardware)
    architecture = resolve(settings, min(description.height, description.width), description.channels)
    log.info("%s with the %s stem, %d images", architecture.encoder, architecture.stem, len(images))

    made_of = (settings.model_dump(mode="json"), seed, record.code_hash, description.content_hash)
    with work_folder(work, *made_of) as folder:
        torch.manual_seed(seed)
        module = SimCLR(settings, Encoder(architecture), images, hold_out, seed=seed, workers=hardware.workers)
        history = History()
        candidates = Candidates(history)
        trainer = build_trainer(
            hardware,
            precision=settings.precision,
            epochs=settings.epochs,
            callbacks=[history, candidates, SaveWork(folder / "training.ckpt")],
        )
        fit(trainer, module, folder / "training.ckpt")
        if trainer.is_global_zero:
            _publish(out, module.encoder, candidates, history, record)
            shutil.rmtree(folder)


def _check_batch(settings: PretrainSettings, images: int, hardware: Hardware) -> None:
    batch, processes = settings.global_batch_size, hardware.resolved_gpus() or hardware.processes
    if batch > images:
        raise UserError(f"global_batch_size {batch} exceeds the {images} training images: make it smaller")
    if batch % processes:
        raise UserError(f"global_batch_size {batch} cannot be shared by {processes} processes: make it a multiple")


class SimCLR(L.LightningModule):
    """Contrastive training of an encoder on two or more views of each image."""

    def __init__(
        self, settings: PretrainSettings, encoder: Encoder, images: Images, hold_out: Images, *, seed: int, workers: int
    ) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._images, self._hold_out, self._seed, self._workers = images, hold_out, seed, workers
        self.steps_per_epoch = len(images) // settings.global_batch_size
        self.images_per_step = settings.global_batch_size

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of this process's slices of the global batches."""
        trainer = self.trainer
        self._images.hold_on(self.device)
        batches = GlobalBatches(
            len(self._images),
            self.settings.global_batch_size,
            self._seed,
            lambda: trainer.global_step,
            rank=trainer.global_rank,
            processes=trainer.world_size,
        )
        return self._images.loader(batches, self._workers)

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Return the loss of a batch of indices and, unless they are on the device, images."""
        indices, images = self._images.on_device(batch)
        return self._loss(indices, images, epoch=self.trainer.global_step // self.steps_per_epoch)

    def _loss(self, indices: Tensor, images: Tensor, epoch: int) -> Tensor:
        with torch.autocast(self.device.type, enabled=False):
            key = random_numbers.keys(self._seed, epoch, indices, self.settings.views)
            views = random_views(images, key, self.settings.augmentation, self.settings.view_size)
        _, projections = self.encoder(views.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        shape = (self.settings.views, len(indices), -1)
        return nt_xent(projections.reshape(shape), self.settings.temperature, across_processes=self.encoder.training)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return the loss of the hold-out's own fixed views, with batch norm's running statistics."""
        if len(self._hold_out) < 2:
            return {}
        self.encoder.eval()
        total = torch.zeros((), device=self.device)
        parts = -(-len(self._hold_out) // self.settings.global_batch_size)
        for rows in np.array_split(np.arange(len(self._hold_out)), parts):
            indices = torch.from_numpy(rows).to(self.device)
            images = torch.from_numpy(self._hold_out.read(rows)).to(self.device)
            with self.trainer.precision_plugin.forward_context():
                total += self._loss(indices, images, _HOLD_OUT_EPOCH) * len(rows)
        self.encoder.train()
        return {"validate_loss": float(total) / len(self._hold_out)}

    def configure_optimizers(self) -> Any:
        """Return the optimiser and its schedule, which is stepped after every update."""
        optimiser = build_optimiser(self.encoder, self.settings, scaled_learning_rate(self.settings))
        warmup = self.settings.warmup_epochs * self.steps_per_epoch
        scheduler = build_schedule(
            optimiser, self.settings.schedule, warmup, self.settings.epochs * self.steps_per_epoch
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def _publish(out: Path, encoder: Encoder, candidates: Candidates, history: History, record: Record) -> None:
    """Write all that pretraining made, as one folder that appears whole."""
    architecture = encoder.architecture
    files = {f"rank{rank}.ckpt": candidate for rank, candidate in enumerate(candidates.best, start=1)}
    files["last.ckpt"] = current_candidate(encoder, history.rows[-1])
    with whole_folder(out) as folder:
        for name, candidate in files.items():
            write_candidate(folder / name, candidate, architecture)
        write_table(
            folder / "checkpoints.csv",
            [
                {"file": name, "epoch": c.epoch, "step": c.step, "validate_loss": c.validate_loss}
                for name, c in files.items()
            ],
        )
        write_table(folder / "history.csv", history.rows)
        write_json(folder / "run.json", {**record.finish(), "architecture": architecture.model_dump(mode="json")})
    last = history.rows[-1]
    log.info("done: loss %.4f, %.0f images/s, written to %s", last["loss"], last["images_per_second"], out)
