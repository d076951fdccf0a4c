"""SimCLR: contrastive training of an encoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from simclr_steps.data.splits import Rows, epochs_between_judgments
from simclr_steps.methods import random_numbers
from simclr_steps.methods.augmenter import Augmenter
from simclr_steps.methods.ends import put_into
from simclr_steps.methods.loss import nt_xent
from simclr_steps.methods.micro_batches import in_micro_batches
from simclr_steps.methods.monitors import MONITORS, HoldOutMonitor
from simclr_steps.methods.views import random_views
from simclr_steps.networks.encoders import Encoder
from simclr_steps.settings.pretrain import FittedPretrain
from simclr_steps.training.batches import GlobalBatches
from simclr_steps.training.compiled import Compilable
from simclr_steps.training.loading import Images
from simclr_steps.training.optimizers import optimizer_and_schedule, scaled_learning_rate
from simclr_steps.training.replayed import Replayed

_HOLD_OUT_EPOCH = -1  # the epoch from which the hold-out's views are drawn, the same each time
_COST_OF_TRAINING = 3  # of an image, where judging it costs 1: forward, and backward for weights and activations


class SimCLR(Compilable):
    """Contrastive training of an encoder on two or more views of each image."""

    def __init__(
        self,
        settings: FittedPretrain,
        encoder: Encoder,
        images: Images,
        hold_out: Images,
        monitor: HoldOutMonitor,
        *,
        seed: int,
        workers: int | None,
        state: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._images, self._hold_out, self._monitor = images, hold_out, monitor
        # Consecutive rows of a folder are of one class: as negatives of one another they would make the loss too high.
        self._hold_out_order = np.random.default_rng(seed).permutation(len(hold_out))
        self._judged_order = self._hold_out_order[np.isin(self._hold_out_order, monitor.rows)]
        size, is_color = encoder.architecture.image_size, encoder.architecture.trained_on.is_color
        self._augmenter = Augmenter(settings.augmentation, size, is_color, make_views=Replayed(random_views))
        self.own_augmentation = settings.augmentation.own
        self._seed, self._workers = seed, workers
        self._state = state  # of the optimizer of the training that this one continues
        self.steps_per_epoch = len(images) // settings.global_batch_size
        self.images_per_step = settings.global_batch_size
        trained_on = self.steps_per_epoch * self.images_per_step
        self._judged_every = epochs_between_judgments(len(monitor.rows), _COST_OF_TRAINING * trained_on)

    def compile_parts(self, *, disable: bool = False) -> None:
        """Compile the network and, for a GPU, the views: more than half of all operations of a step, and the smallest.

        On a CPU the views are a hundredth of a step, and torch 2.11 has compiled them to code that writes beyond its
        memory. `disable` undoes all of it.
        """
        self.encoder.compile(disable=disable)
        if self.device.type == "cuda":
            self._augmenter.make_views = Replayed(random_views) if disable else torch.compile(random_views)

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
            lambda: trainer.global_step + self.settings.epochs_before * self.steps_per_epoch,
            rank=trainer.global_rank,
            processes=trainer.world_size,
        )
        size = self.settings.global_batch_size // trainer.world_size
        return self._images.loader(batches, self.device, size, self._workers)

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Return the loss of a batch of indices and, unless they are on the device, images."""
        epoch = self.trainer.global_step // self.steps_per_epoch
        if self.settings.freeze_epochs:  # here, as Lightning tells no epoch's start of one that goes on
            self.encoder.backbone.train(epoch >= self.settings.freeze_epochs)
        indices, images = self._images.on_device(batch)
        projections = self._project(indices, images, self.settings.epochs_before + epoch)
        return nt_xent(projections, self.settings.temperature, chunk_size=self.settings.loss_chunk_size)

    def _project(self, indices: Tensor, images: Tensor, epoch: int) -> Tensor:
        """Return the projections of an epoch's views, [V, B, D]."""
        with torch.autocast(self.device.type, enabled=False):
            key = random_numbers.keys(self._seed, epoch, indices, self.settings.views)
            views = self._augmenter(images, key)
        x = views.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        _, projections = in_micro_batches(self.encoder, x, self.settings.micro_batch_size)
        return projections.reshape(self.settings.views, len(indices), -1)

    @torch.no_grad()
    def validate(self) -> dict[str, float | None]:
        """Return the loss of fixed views of the hold-out's drawn rows, and the monitors, also before the first step.

        Batch norm takes its running statistics. What is not measured in this epoch is None: where epochs
        are short beside a judgment, the loss as well.
        """
        measured: dict[str, float | None] = dict.fromkeys(("validate_loss", *MONITORS))
        epoch, every = self.trainer.global_step // self.steps_per_epoch, self.settings.monitor_epochs
        is_monitored = every > 0 and (epoch % every == 0 or epoch == self.settings.epochs)
        is_judged = is_monitored or epoch % self._judged_every == 0 or epoch == self.settings.epochs
        if len(self._hold_out) < 2 or not is_judged:
            return measured
        self.encoder.eval()
        projections = list(self._hold_out_projections(self._judged_order))
        measured["validate_loss"] = self._mean_loss(projections)
        if is_monitored:
            by_row = torch.from_numpy(np.argsort(self._judged_order)).to(self.device)
            measured |= self._monitor.measure(self.encoder, torch.cat(projections, dim=1)[:, by_row])
        self.encoder.train()
        return measured

    @torch.no_grad()
    def hold_out_loss(self, device: torch.device) -> float | None:
        """Return the loss of fixed views of the whole hold-out, if it has two images, once the training has ended.

        The device is an argument because Lightning moves a module to the CPU when its training ends.
        """
        if len(self._hold_out) < 2:
            return None
        self.to(device)
        self.encoder.eval()
        with torch.compiler.set_stance("force_eager"):
            return self._mean_loss(self._hold_out_projections(self._hold_out_order))

    def _mean_loss(self, parts: Iterable[Tensor]) -> float:
        """Return the mean loss of images whose projections come in parts, [V, B, D]: each part against itself."""
        temperature, chunk_size = self.settings.temperature, self.settings.loss_chunk_size
        losses, images = [], 0
        for part in parts:
            loss = nt_xent(part, temperature, chunk_size=chunk_size, across_processes=False)
            losses.append(loss * part.shape[1])
            images += part.shape[1]
        return float(torch.stack(losses).sum()) / images

    def _hold_out_projections(self, order: Rows) -> Iterator[Tensor]:
        """Yield the projections of fixed views of rows of the hold-out, [V, B, D], in batches as large as training's.

        They are nearly equal in size.
        """
        parts = -(-len(order) // self.settings.global_batch_size)
        for rows in np.array_split(order, parts):
            indices, images = torch.from_numpy(rows).to(self.device), self._hold_out.fetch(rows, self.device)
            with self.trainer.precision_plugin.forward_context():
                projections = self._project(indices, images, _HOLD_OUT_EPOCH)
            yield projections

    def configure_optimizers(self) -> Any:
        """Return the optimizer and its schedule, which is stepped after every update."""
        settings, rate = self.settings, scaled_learning_rate(self.settings)
        layers = [self.encoder.backbone.parameters(), self.encoder.projection_head.parameters()]
        factor, frozen = settings.backbone_learning_rate_factor, settings.freeze_epochs
        both: Any = optimizer_and_schedule(
            layers, settings, rate, self.steps_per_epoch, settings.epochs, factor, frozen
        )
        if self._state is not None:
            put_into(both["optimizer"], self.encoder, self._state)
        return both
