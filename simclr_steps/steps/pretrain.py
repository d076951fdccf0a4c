"""Train an encoder with SimCLR on the train and unlabeled splits."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from simclr_steps.data.packed import read_description, read_split
from simclr_steps.files import whole_folder, write_json, write_table
from simclr_steps.machine.compilation import compiles
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.options import NORMAL_SAVING, Hardware, Saving
from simclr_steps.machine.provenance import Record
from simclr_steps.methods import random_numbers
from simclr_steps.methods.candidates import Candidates, current_candidate, write_candidate
from simclr_steps.methods.loss import nt_xent
from simclr_steps.methods.micro_batches import in_micro_batches
from simclr_steps.methods.monitors import MONITORS, HoldOutMonitor
from simclr_steps.methods.views import random_views
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.backbones import count_features
from simclr_steps.networks.encoders import Encoder
from simclr_steps.settings.blocks import PretrainSettings
from simclr_steps.training.batches import GlobalBatches
from simclr_steps.training.compiled import Compiled
from simclr_steps.training.history import History
from simclr_steps.training.loading import Images
from simclr_steps.training.loggers import TensorBoard
from simclr_steps.training.optimizers import configure_optimizers, scaled_learning_rate
from simclr_steps.training.resuming import fit, resumable
from simclr_steps.training.sync_batch_norm import batch_norms
from simclr_steps.training.trainer import build_trainer
from simclr_steps.training.work_folder import work_folder

_HOLD_OUT_EPOCH = -1  # the epoch from which the hold-out's views are drawn, the same each time


def pretrain(
    settings: PretrainSettings,
    *,
    data: Path,
    seed: int,
    out: Path,
    work: Path,
    hardware: Hardware,
    saving: Saving = NORMAL_SAVING,
) -> None:
    """Train an encoder and write its candidates.

    Writes into `out`: rank1.ckpt to rank3.ckpt (least validation loss first, as many as there are), last.ckpt,
    checkpoints.csv, history.csv, tensorboard/ and run.json. Never reads the test split.
    """
    description = read_description(data)
    record = Record("pretrain", settings, description.content_hash, seed)
    train, unlabeled, validation = (read_split(data, split) for split in ("train", "unlabeled", "validation"))
    images, hold_out = Images([train.images, unlabeled.images]), Images([validation.images])
    _check_batch(settings, len(images), hardware)
    architecture = resolve(settings, min(description.height, description.width), description.channels)
    log.info("%s, %d images", architecture, len(images))
    size = (settings.view_size, settings.view_size) if settings.view_size else (description.height, description.width)

    own_code = architecture.own_code_hash
    made_of = (settings.model_dump(mode="json"), seed, record.code_hash, own_code, description.content_hash)
    with work_folder(work, *made_of, result=out) as folder:
        torch.manual_seed(seed)
        monitor = HoldOutMonitor(images, train.labels, hold_out, validation.labels, seed)
        encoder = Encoder(architecture)
        _check_encoder(encoder, size)
        module = SimCLR(settings, encoder, images, hold_out, monitor, seed=seed, workers=hardware.workers)
        history = History()
        candidates = Candidates(history)
        curves = TensorBoard(history, folder / "tensorboard")
        trainer = build_trainer(
            hardware,
            precision=settings.precision,
            epochs=settings.epochs,
            callbacks=[
                *_compiled(settings, module, hardware),
                *resumable(folder / "training.ckpt", saving, history, candidates, curves),
            ],
        )
        at_once = settings.micro_batch_size or settings.views * settings.global_batch_size // trainer.world_size
        mend = f"set micro_batch_size to fewer than the {at_once} views that pass through the network at once"
        fit(trainer, module, folder / "training.ckpt", if_memory_is_full=mend)
        if trainer.is_global_zero:
            _publish(out, module.encoder, candidates, history, curves, record)
            shutil.rmtree(folder)


def _check_batch(settings: PretrainSettings, images: int, hardware: Hardware) -> None:
    batch, processes = settings.global_batch_size, hardware.resolved_processes()
    if batch > images:
        raise UserError(f"global_batch_size {batch} exceeds the {images} training images: make it smaller")
    if batch % processes:
        raise UserError(f"global_batch_size {batch} cannot be shared by {processes} processes: make it a multiple")


def _check_encoder(encoder: Encoder, size: tuple[int, int]) -> None:
    """Refuse an encoder that reads no views of this height and width."""
    height, width = size
    if height != width:
        count_features(encoder.backbone, encoder.architecture, size)


def _compiled(settings: PretrainSettings, module: SimCLR, hardware: Hardware) -> list[L.Callback]:
    """Return the callback that compiles the training, if it is to be compiled."""
    steps, gpu = settings.epochs * module.steps_per_epoch, hardware.resolved_gpus() > 0
    processes = hardware.resolved_processes()
    obstacle = None
    views = settings.views * settings.global_batch_size // processes
    if processes > 1 and batch_norms(module.encoder):
        obstacle = f"it cannot compile batch norm over {processes} processes: train in one"
    elif settings.micro_batch_size and views % math.ceil(views / settings.micro_batch_size):
        size = settings.micro_batch_size
        obstacle = f"it needs equal micro-batches: set micro_batch_size to a divisor of {views} instead of {size}"
    wanted = compiles(hardware.compile, gpu=gpu, steps=steps, obstacle=obstacle)
    return [Compiled(insist=hardware.compile == "always")] if wanted else []


class SimCLR(L.LightningModule):
    """Contrastive training of an encoder on two or more views of each image."""

    def __init__(
        self,
        settings: PretrainSettings,
        encoder: Encoder,
        images: Images,
        hold_out: Images,
        monitor: HoldOutMonitor,
        *,
        seed: int,
        workers: int | None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._images, self._hold_out, self._monitor = images, hold_out, monitor
        self._random_views = random_views
        self._seed, self._workers = seed, workers
        self.steps_per_epoch = len(images) // settings.global_batch_size
        self.images_per_step = settings.global_batch_size

    def compile_parts(self, *, disable: bool = False) -> None:
        """Compile the network and, for a GPU, the views: more than half of all operations of a step, and the smallest.

        On a CPU the views are a hundredth of a step, and torch 2.11 has compiled them to code that writes beyond its
        memory. `disable` takes all of it back.
        """
        self.encoder.compile(disable=disable)
        if self.device.type == "cuda":
            self._random_views = torch.compile(random_views, disable=disable)

    def trial_step(self) -> Tensor:
        """Return some loss of a step of the training's shapes, in its precision, with all that is compiled in it."""
        rows = np.arange(self.settings.global_batch_size // self.trainer.world_size)
        images = self._images.fetch(rows, self.device)
        with self.trainer.precision_plugin.train_step_context():
            return self._project(torch.from_numpy(rows).to(self.device), images, epoch=0).float().square().sum()

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of this process's slices of the global batches."""
        trainer = self.trainer
        self._images.hold_on(self.device)
        self._hold_out.hold_on(self.device)
        batches = GlobalBatches(
            len(self._images),
            self.settings.global_batch_size,
            self._seed,
            lambda: trainer.global_step,
            rank=trainer.global_rank,
            processes=trainer.world_size,
        )
        return self._images.loader(batches, self.device, self._workers)

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Return the loss of a batch of indices and, unless they are on the device, images."""
        indices, images = self._images.on_device(batch)
        projections = self._project(indices, images, self.trainer.global_step // self.steps_per_epoch)
        return nt_xent(projections, self.settings.temperature, chunk_size=self.settings.loss_chunk_size)

    def _project(self, indices: Tensor, images: Tensor, epoch: int) -> Tensor:
        """Return the projections of an epoch's views, [V, B, D]."""
        with torch.autocast(self.device.type, enabled=False):
            key = random_numbers.keys(self._seed, epoch, indices, self.settings.views)
            views = self._random_views(images, key, self.settings.augmentation, self.settings.view_size)
        x = views.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        _, projections = in_micro_batches(self.encoder, x, self.settings.micro_batch_size)
        return projections.reshape(self.settings.views, len(indices), -1)

    @torch.no_grad()
    def validate(self) -> dict[str, float | None]:
        """Return the loss of the hold-out's own fixed views, with batch norm's running statistics, and the monitors.

        What is not measured in this epoch is None.
        """
        measured: dict[str, float | None] = dict.fromkeys(("validate_loss", *MONITORS))
        if len(self._hold_out) < 2:
            return measured
        self.encoder.eval()
        projections = self._hold_out_projections()
        temperature, chunk_size = self.settings.temperature, self.settings.loss_chunk_size
        losses = [
            nt_xent(p, temperature, chunk_size=chunk_size, across_processes=False) * p.shape[1] for p in projections
        ]
        measured["validate_loss"] = float(torch.stack(losses).sum()) / len(self._hold_out)
        epoch, every = self.trainer.current_epoch + 1, self.settings.monitor_epochs
        if every and (epoch % every == 0 or epoch == self.settings.epochs):
            measured |= self._monitor.measure(self.encoder, torch.cat(projections, dim=1))
        self.encoder.train()
        return measured

    def _hold_out_projections(self) -> list[Tensor]:
        """Return the projections of the hold-out's fixed views, [V, B, D], in batches about as large as training's."""
        projections = []
        parts = -(-len(self._hold_out) // self.settings.global_batch_size)
        for rows in np.array_split(np.arange(len(self._hold_out)), parts):
            indices, images = torch.from_numpy(rows).to(self.device), self._hold_out.fetch(rows, self.device)
            with self.trainer.precision_plugin.forward_context():
                projections.append(self._project(indices, images, _HOLD_OUT_EPOCH))
        return projections

    def configure_optimizers(self) -> Any:
        """Return the optimizer and its schedule, which is stepped after every update."""
        rate = scaled_learning_rate(self.settings)
        return configure_optimizers([self.encoder.parameters()], self.settings, rate, self.steps_per_epoch)


def _publish(
    out: Path, encoder: Encoder, candidates: Candidates, history: History, curves: TensorBoard, record: Record
) -> None:
    """Write all that pretraining made, as one folder that appears whole."""
    architecture = encoder.architecture
    files = {f"rank{rank}.ckpt": candidate for rank, candidate in enumerate(candidates.best, start=1)}
    files["last.ckpt"] = current_candidate(encoder, history.rows[-1])
    with whole_folder(out) as folder:
        for name, candidate in files.items():
            write_candidate(folder / name, candidate, architecture)
        columns = ("epoch", "step", "validate_loss", *MONITORS)
        rows = {name: history.rows[candidate.epoch - 1] for name, candidate in files.items()}
        write_table(
            folder / "checkpoints.csv",
            [{"file": name, **{column: row[column] for column in columns}} for name, row in rows.items()],
        )
        write_table(folder / "history.csv", history.rows)
        curves.publish(folder / "tensorboard")
        write_json(folder / "run.json", {**record.finish(), "architecture": architecture.model_dump(mode="json")})
    last = history.rows[-1]
    log.info("done: loss %.4f, %.0f images/s, written to %s", last["loss"], last["images_per_second"], out)
