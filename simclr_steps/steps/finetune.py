"""Train a classifier, from the pretrained encoder or from random weights, on a share of the labels."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from simclr_steps.data.packed import NO_LABEL, Split, read_description, read_split
from simclr_steps.data.splits import Rows, stratified_draw
from simclr_steps.evaluation.metrics import classification_metrics
from simclr_steps.files import checksum, read_json, read_table, whole_file, write_json, write_table
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.options import NORMAL_SAVING, Hardware, Saving
from simclr_steps.machine.provenance import Record
from simclr_steps.methods import random_numbers
from simclr_steps.methods.views import random_views
from simclr_steps.networks.encoders import Classifier, Encoder, load_network, save_network
from simclr_steps.networks.features import check_channels, compute_features, network_input
from simclr_steps.settings.blocks import FinetuneSettings
from simclr_steps.training.batches import GlobalBatches, batches_of_all
from simclr_steps.training.checked_files import CheckedFiles
from simclr_steps.training.history import History
from simclr_steps.training.loading import Images, outputs
from simclr_steps.training.optimizers import configure_optimizers
from simclr_steps.training.resuming import fit, resumable
from simclr_steps.training.trainer import build_trainer
from simclr_steps.training.work_folder import work_folder


def finetune(
    settings: FinetuneSettings,
    *,
    encoder: Path,
    data: Path,
    seed: int,
    out: Path,
    work: Path,
    hardware: Hardware,
    saving: Saving = NORMAL_SAVING,
) -> None:
    """Train one classifier for each draw of the labels and judge it on the hold-out and, at the end, on the test split.

    Writes into `out`: model.safetensors (the first draw's classifier), history.csv and metrics.json.
    Raises UserError when the data set has no labels, only one class, or another kind of images than the encoder was
    made for.
    """
    description = read_description(data)
    classes = description.classes
    if not classes:
        raise UserError(f"{data} has no labels to fine-tune on: leave finetunes out of this data set's experiments")
    if len(classes) == 1:
        raise UserError(f"{data} has one class, {classes[0]}, and nothing to tell it from: leave finetunes out of it")
    record = Record("finetune", settings, description.content_hash, seed)
    train = read_split(data, "train")
    pretrained = load_network(encoder)
    if not isinstance(pretrained, Encoder):
        raise UserError(f"{encoder} is a classifier: give the encoder.safetensors that select wrote")
    check_channels(pretrained, train.images)
    if settings.keep == "best" and not description.splits["validation"].labeled:
        raise UserError(f"keep: best needs labels in the hold-out, but that of {data} has none: set keep to last")
    hardware = replace(hardware, gpus=min(1, hardware.resolved_gpus()), processes=1)

    made_of = (settings.model_dump(mode="json"), seed, record.code_hash, description.content_hash, checksum(encoder))
    with work_folder(work, *made_of, result=out / "metrics.json") as folder:
        for draw in range(settings.draws):
            if not (folder / f"draw{draw}.json").exists():
                module = _train(settings, pretrained, classes, train, data, (seed, draw), folder, hardware, saving)
                _judge(module, classes, data, draw, folder, hardware.device())
                CheckedFiles().remove_checkpoint(folder / f"draw{draw}.ckpt")
        _publish(settings, classes, folder, out, record)
        shutil.rmtree(folder)


class Supervised(L.LightningModule):
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
        self._hold_out_rows = np.flatnonzero(hold_out.labels != NO_LABEL)
        self._hold_out_labels = torch.from_numpy(hold_out.labels[self._hold_out_rows])
        self.register_buffer("labels", torch.from_numpy(np.array(train.labels)), persistent=False)
        self.steps_per_epoch = batches_of_all(len(rows), settings.batch_size)
        self.images_per_step = round(len(rows) / self.steps_per_epoch)
        self.kept_epoch = settings.epochs

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the loader of the drawn rows."""
        trainer = self.trainer
        self._images.hold_on(self.device, self.rows)
        self._hold_out.hold_on(self.device, self._hold_out_rows)
        batches = GlobalBatches(
            self.rows, self.settings.batch_size, self._seed, lambda: trainer.global_step, use_all=True
        )
        return self._images.loader(batches, self.device)

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        """Return the cross entropy and the accuracy of a batch; a frozen backbone keeps its statistics, too."""
        if self.settings.freeze:
            self.network.backbone.eval()  # here, as Lightning tells no epoch's start of one that goes on
        indices, images = self._images.on_device(batch)
        size = self.network.architecture.image_size
        if self.settings.augmentation is None:
            x = network_input(images, size)
        else:
            key = random_numbers.keys(self._seed, self.trainer.global_step // self.steps_per_epoch, indices, views=1)
            with torch.autocast(self.device.type, enabled=False):
                x = random_views(images, key, self.settings.augmentation, size)[0]
        _, logits = self.network(x.contiguous(memory_format=torch.channels_last))
        labels = self.get_buffer("labels")[indices]
        correct = (logits.argmax(dim=1) == labels).float().mean()
        return {"loss": F.cross_entropy(logits.float(), labels), "accuracy": correct}

    def validate(self) -> dict[str, float]:
        """Return the accuracy on the labeled rows of the hold-out, if it has any."""
        if not len(self._hold_out_rows):
            return {}
        _, logits = outputs(self.network, self._hold_out, self._hold_out_rows, self.device)
        correct = logits.argmax(dim=1).cpu() == self._hold_out_labels
        return {"validate_accuracy": float(correct.float().mean())}

    def configure_optimizers(self) -> Any:
        """Return the optimizer of what is not frozen, and its schedule, which is stepped after every update."""
        settings = self.settings
        return configure_optimizers(
            self.network.layers(), settings, settings.learning_rate, self.steps_per_epoch, settings.layer_decay
        )


class BestEpoch(L.Callback):
    """Keeps the classifier of the epoch with the highest accuracy on the hold-out; it is saved with the training."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.epoch, self._accuracy, self._weights = 0, -1.0, dict[str, Tensor]()

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs."""
        return {"epoch": self.epoch, "accuracy": self._accuracy, "weights": self._weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.epoch, self._accuracy, self._weights = state["epoch"], state["accuracy"], state["weights"]

    def on_train_epoch_end(self, trainer: L.Trainer, module: Any) -> None:
        """Keep the classifier if it is better than all before."""
        row = self._history.rows[-1]
        if row["validate_accuracy"] > self._accuracy:
            self.epoch, self._accuracy = row["epoch"], row["validate_accuracy"]
            self._weights = {name: tensor.to("cpu", copy=True) for name, tensor in module.network.state_dict().items()}

    def on_fit_end(self, trainer: L.Trainer, module: Any) -> None:
        """Give the network the weights that were kept."""
        module.network.load_state_dict(self._weights)
        module.kept_epoch = self.epoch


def labeled_logits(network: Classifier, split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the logits, float32 [N, classes], and labels, int64 [N], of a split's labeled rows, on the CPU."""
    rows = np.flatnonzero(split.labels != NO_LABEL)
    images = split.images if len(rows) == len(split) else split.images[rows]
    return torch.from_numpy(compute_features(network, images, device)[1]), torch.from_numpy(split.labels[rows])


def _train(
    settings: FinetuneSettings,
    pretrained: Encoder,
    classes: list[str],
    train: Split,
    data: Path,
    seed: tuple[int, int],
    folder: Path,
    hardware: Hardware,
    saving: Saving,
) -> Supervised:
    """Train the classifier of one draw; `seed` is the run's seed and the draw's number."""
    rows = stratified_draw(train.labels, settings.labels, seed)
    number = int(np.random.SeedSequence(seed).generate_state(1)[0])
    torch.manual_seed(number)
    network = Classifier(pretrained.architecture, len(classes), settings.head)
    if settings.init == "pretrained":
        network.backbone.load_state_dict(pretrained.backbone.state_dict())
    log.info("draw %d of %d: %d labels, %s weights", seed[1] + 1, settings.draws, len(rows), settings.init)
    module = Supervised(settings, network, train, read_split(data, "validation"), rows, number)
    history = History()
    best = [BestEpoch(history)] if settings.keep == "best" else []
    checkpoint = folder / f"draw{seed[1]}.ckpt"
    trainer = build_trainer(
        hardware,
        precision=settings.precision,
        epochs=settings.epochs,
        callbacks=resumable(checkpoint, saving, history, *best),
    )
    frozen = _hash(network.backbone) if settings.freeze else None
    fit(trainer, module, checkpoint, if_memory_is_full=f"lower batch_size, which is {settings.batch_size}")
    if frozen and _hash(network.backbone) != frozen:
        raise RuntimeError("the frozen backbone has changed")
    write_table(folder / f"draw{seed[1]}.history.csv", [{"draw": seed[1], **row} for row in history.rows])
    return module


def _hash(network: torch.nn.Module) -> str:
    """Return a digest of all weights and statistics."""
    digest = hashlib.sha256()
    for tensor in network.state_dict().values():
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _judge(module: Supervised, classes: list[str], data: Path, draw: int, folder: Path, device: torch.device) -> None:
    """Write what one draw achieves; the first to read the test split, when nothing is left to choose.

    The device is named, as Lightning moves a module to the CPU when its training ends.
    """
    result: dict[str, Any] = {"draw": draw, "label_count": len(module.rows), "epoch": module.kept_epoch}
    for name in ("validation", "test"):
        logits, labels = labeled_logits(module.network, read_split(data, name), device)
        result[name] = classification_metrics(logits, labels, classes) if len(labels) else None
    if draw == 0:
        save_network(folder / "model.safetensors", module.network, classes)
    write_json(folder / f"draw{draw}.json", result)


def _publish(settings: FinetuneSettings, classes: list[str], folder: Path, out: Path, record: Record) -> None:
    """Write the draws' results into `out`, metrics.json last."""
    draws = [read_json(folder / f"draw{draw}.json") for draw in range(settings.draws)]
    with whole_file(out / "model.safetensors") as partial:
        shutil.copyfile(folder / "model.safetensors", partial)
    tables = [read_table(folder / f"draw{draw}.history.csv") for draw in range(settings.draws)]
    write_table(out / "history.csv", [row for table in tables for row in table])
    metrics = {
        "labels": settings.model_dump()["labels"],
        "label_count": draws[0]["label_count"],
        "init": settings.init,
        "freeze": settings.freeze,
        "classes": classes,
        "draws": draws,
        "run": record.finish(),
    }
    write_json(out / "metrics.json", metrics)
    for draw in draws:
        shown = ", ".join(f"{name} {draw[name]['accuracy']:.4f}" for name in ("validation", "test") if draw[name])
        log.info("draw %d: accuracy %s", draw["draw"] + 1, shown or "unknown, as the hold-out and test have no labels")
