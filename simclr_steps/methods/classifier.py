"""Supervised training of a classifier on some of the labels."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from simclr_steps.data.packed import Split
from simclr_steps.data.splits import Rows, drawn_while_training, epochs_between_judgments, labeled_rows
from simclr_steps.evaluation.balanced import balanced_weights
from simclr_steps.methods import random_numbers
from simclr_steps.methods.augmenter import Augmenter
from simclr_steps.methods.fitting import epochs_of
from simclr_steps.methods.views import random_views
from simclr_steps.networks.encoders import Classifier
from simclr_steps.networks.features import compute_features, network_input
from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.training.batches import GlobalBatches, batches_of_all
from simclr_steps.training.history import History
from simclr_steps.training.loading import Images, outputs
from simclr_steps.training.module import Trained
from simclr_steps.training.optimizers import optimizer_and_schedule
from simclr_steps.training.replayed import Replayed

_LEAST_EPOCHS, _LEAST_UPDATES = 30, 1000  # of `epochs: auto`


class Supervised(Trained):
    """Training of a classifier on some rows of the training split."""

    def __init__(
        self, settings: FinetuneSettings, network: Classifier, train: Split, hold_out: Split, rows: Rows, seed: int
    ) -> None:
        super().__init__()
        self.settings, self.rows, self._seed = settings, rows, seed
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if settings.freeze:
            network.backbone.requires_grad_(False)
        self._images, self._hold_out = Images([train.images]), Images([hold_out.images])
        self._augmenter: Augmenter | None = None
        if settings.augmentation:
            self.own_augmentation = settings.augmentation.own
            size, is_color = network.architecture.image_size, network.architecture.trained_on.is_color
            self._augmenter = Augmenter(settings.augmentation, size, is_color, make_views=Replayed(random_views))
        labeled = labeled_rows(hold_out.labels)
        self._hold_out_rows = labeled[drawn_while_training(hold_out.labels[labeled], len(rows), seed)]
        self._hold_out_labels = torch.from_numpy(hold_out.labels[self._hold_out_rows])
        self.judged_every = epochs_between_judgments(len(self._hold_out_rows), len(rows))
        self.register_buffer("labels", torch.from_numpy(np.array(train.labels)), persistent=False)
        if settings.class_weights == "balanced":
            weights = np.zeros(len(train.labels), dtype=np.float32)
            weights[rows] = balanced_weights(train.labels[rows])
            self.register_buffer("weights", torch.from_numpy(weights), persistent=False)
        self.steps_per_epoch = batches_of_all(len(rows), settings.batch_size)
        self.images_per_step = round(len(rows) / self.steps_per_epoch)
        fitting = epochs_of(_LEAST_EPOCHS, _LEAST_UPDATES, self.steps_per_epoch)
        self.epochs = self.kept_epoch = fitting if settings.epochs == "auto" else settings.epochs

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of the drawn rows."""
        trainer = self.trainer
        self._images.hold_on(self.device, self.rows)
        self._hold_out.hold_on(self.device, self._hold_out_rows)
        batches = GlobalBatches(
            self.rows, self.settings.batch_size, self._seed, lambda: trainer.global_step, use_all=True
        )
        return self._images.loader(batches, self.device, self.settings.batch_size)

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Return the cross entropy and the accuracy of a batch; a frozen backbone keeps its statistics, too."""
        if self.settings.freeze:
            self.network.backbone.eval()  # here, as Lightning tells no epoch's start of one that goes on
        indices, images = self._images.on_device(batch)
        if self._augmenter is None:
            x = network_input(images, self.network.architecture.image_size)
        else:
            key = random_numbers.keys(self._seed, self.trainer.global_step // self.steps_per_epoch, indices, views=1)
            with torch.autocast(self.device.type, enabled=False):
                x = self._augmenter(images, key)[0]
        _, logits = self.network(x.contiguous(memory_format=torch.channels_last))
        labels = self.get_buffer("labels")[indices]
        correct = (logits.argmax(dim=1) == labels).float().mean()
        if self.settings.class_weights == "none":
            return {"loss": F.cross_entropy(logits.float(), labels), "accuracy": correct}
        losses = F.cross_entropy(logits.float(), labels, reduction="none")
        return {"loss": (self.get_buffer("weights")[indices] * losses).mean(), "accuracy": correct}

    def validate(self) -> dict[str, float | None]:
        """Return the accuracy on labeled rows of the hold-out, if it has any, which were drawn by the seed.

        It is None after epochs that are not judged; the last one is.
        """
        if not len(self._hold_out_rows):
            return {}
        epoch = self.trainer.current_epoch + 1
        if epoch % self.judged_every and epoch < self.epochs:
            return {"validate_accuracy": None}
        _, logits = outputs(self.network, self._hold_out, self._hold_out_rows, self.device)
        correct = logits.argmax(dim=1).cpu() == self._hold_out_labels
        return {"validate_accuracy": float(correct.float().mean())}

    def configure_optimizers(self) -> Any:
        """Return the optimizer of what is not frozen, and its schedule, which is stepped after every update."""
        settings = self.settings
        steps, layers = self.steps_per_epoch, self.network.layers()
        return optimizer_and_schedule(
            layers, settings, settings.learning_rate, steps, self.epochs, settings.layer_decay
        )


class BestEpoch(L.Callback):
    """Keeps the classifier of that judged epoch whose accuracy on the drawn rows of the hold-out is the highest.

    It is saved with the training.
    """

    def __init__(self, history: History, module: Supervised) -> None:
        self._history, self._module = history, module
        self.epoch, self._accuracy, self._weights = 0, -1.0, dict[str, Tensor]()

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs."""
        return {"epoch": self.epoch, "accuracy": self._accuracy, "weights": self._weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.epoch, self._accuracy, self._weights = state["epoch"], state["accuracy"], state["weights"]

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Keep the classifier if it is better than all before."""
        row = self._history.rows[-1]
        accuracy = row["validate_accuracy"]
        if accuracy is not None and accuracy > self._accuracy:
            self.epoch, self._accuracy = row["epoch"], accuracy
            weights = self._module.network.state_dict()
            self._weights = {name: tensor.to("cpu", copy=True) for name, tensor in weights.items()}

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Give the network the weights that were kept."""
        self._module.network.load_state_dict(self._weights)
        self._module.kept_epoch = self.epoch


def labeled_logits(network: Classifier, split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the logits, float32 [N, classes], and labels, int64 [N], of a split's labeled rows, on the CPU."""
    rows = labeled_rows(split.labels)
    images = split.images if len(rows) == len(split) else split.images[rows]
    return torch.from_numpy(compute_features(network, images, device)[1]), torch.from_numpy(split.labels[rows])
