"""Compute the features and predictions of a split, on as many processes as there are, each writing its own part."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as L
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from simclr_steps.data.packed import Pixels, read_images, read_packed
from simclr_steps.data.parts import PATTERNS, Part
from simclr_steps.data.splits import Rows
from simclr_steps.files import checksum, whole_folder, write_json
from simclr_steps.machine.logs import log
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.processes import leads
from simclr_steps.machine.progress import Progress
from simclr_steps.machine.provenance import Record
from simclr_steps.machine.replaced import Own, check_replaceable
from simclr_steps.networks.encoders import Classifier, Encoder, load_network
from simclr_steps.networks.features import check_images, images_at_a_time, network_input
from simclr_steps.training.readers import WatchedLoader, start_reader, usable_readers, watched_readers
from simclr_steps.training.trainer import build_trainer

RowsAndImages = tuple[Tensor, Tensor]  # rows, int64 [B], and their images, [B, H, W, C]
Outputs = tuple[Tensor, Tensor, Tensor]  # rows, features, and projections or logits

_OWN = Own((*PATTERNS, "parts.json"), step="predict", record="parts.json")  # of `out`


def predict(model: Path, *, data: Path, split: str, out: Path, hardware: Hardware) -> None:
    """Run an encoder or a classifier over a split.

    Writes into `out` one part for each process while it computes: part-<rank>.rows.npy, int64 [n];
    part-<rank>.features.npy, float32 [n, D]; part-<rank>.projections.npy (encoder) or part-<rank>.logits.npy
    (classifier), float32 [n, P]; and parts.json, which describes them. The folder appears when all processes have
    written, not before.
    """
    if leads():
        check_replaceable(out, _OWN)
    record = Record("predict", None, read_packed(data).pixel_hash)
    network = load_network(model)
    images = read_images(data, split)
    check_images(network, images)
    kind, second = ("classifier", "logits") if isinstance(network, Classifier) else ("encoder", "projections")
    description = {
        "kind": kind,
        "split": split,
        "layers": ["features", second],
        "model": str(model),
        "model_hash": checksum(model),
    }
    devices = hardware.claim()
    with ExitStack() as stack, watched_readers():
        trainer = build_trainer(devices, callbacks=[PartWriter(out, description, record, stack)])
        trainer.predict(Prediction(network, images, devices.workers or 0), return_predictions=False)
    if trainer.is_global_zero:
        log.info("%s of %d images: %s", kind, len(images), out)


class Prediction(L.LightningModule):
    """A network that runs over this process's share of the images."""

    def __init__(self, network: Encoder | Classifier, images: Pixels, workers: int) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._images, self._workers = images, workers

    @property
    def rows(self) -> Rows:
        """Those of this process."""
        return np.array_split(np.arange(len(self._images)), self.trainer.world_size)[self.trainer.global_rank]

    def predict_dataloader(self) -> DataLoader[RowsAndImages]:
        """Return the batches of this process."""
        self._progress = Progress("predicted", len(self.rows))
        batches = Batches(self._images, self.rows)
        workers = usable_readers(self._workers, batches.size * self._images[:1].nbytes)
        return WatchedLoader(
            batches,
            batch_size=None,  # the data set's items are batches already
            num_workers=workers,
            worker_init_fn=start_reader,
            pin_memory=self.trainer.strategy.root_device.type == "cuda",
        )

    def predict_step(self, batch: RowsAndImages, batch_idx: int) -> Outputs:
        """Return the rows of a batch and the network's two outputs."""
        rows, images = batch
        features, second = self.network(network_input(images, self.network.architecture.image_size))
        self._progress.add(len(rows))
        return rows, features, second


class Batches(Dataset[RowsAndImages]):
    """Some rows of an array of images in batches; a share without rows is one empty batch, so that it has a part."""

    def __init__(self, images: Pixels, rows: npt.NDArray[np.int64]) -> None:
        self._images, self._rows = images, rows
        self.size = images_at_a_time(images)  # of a batch

    def __len__(self) -> int:
        return max(1, -(-len(self._rows) // self.size))

    def __getitem__(self, number: int) -> RowsAndImages:
        rows = self._rows[number * self.size : (number + 1) * self.size]
        return torch.from_numpy(rows), torch.from_numpy(self._images[rows])


class PartWriter(L.Callback):
    """Writes what a process predicts as its part, as it comes; the folder of all parts appears when `stack` ends."""

    _part: Part

    def __init__(self, out: Path, description: dict[str, Any], record: Record, stack: ExitStack) -> None:
        self._out, self._description, self._record, self._stack = out, description, record, stack

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin this process's part, in a folder of all processes."""
        own = self._stack.enter_context(whole_folder(self._out, _OWN)) if trainer.is_global_zero else None
        self._folder: Path = trainer.strategy.broadcast(own)  # type: ignore[assignment]
        count = len(cast(Prediction, pl_module).rows)
        self._part = self._stack.enter_context(Part(self._folder, self._out, trainer.global_rank, count))

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Append a batch."""
        names = ("rows", *self._description["layers"])
        self._part.add({name: output.cpu().numpy() for name, output in zip(names, outputs, strict=True)})

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Finish this process's part and, when all processes have, describe them."""
        self._part.sync()
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            facts = {**self._description, "processes": trainer.world_size, "run": self._record.finish()}
            write_json(self._folder / "parts.json", facts)
