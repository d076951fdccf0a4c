"""Packed images as training reads them: held on the device where they fit, read from disk where they do not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from simclr_steps.errors import UserError
from simclr_steps.hardware import die_with_parent
from simclr_steps.signals import ignore

Batch = Sequence[Tensor] | UserError

_SHARE_OF_FREE_MEMORY = 0.4  # the rest is for activations
_ROWS_AT_A_TIME = 4096
_WORKERS_OF_GPU = 4


class Images(Dataset[Any]):
    """The images of several packed arrays, one after the other, in batches of indices.

    A batch is `indices`, int64 [B], alone when the images are on the device, or with uint8 [B, H, W, C] when not.
    """

    def __init__(self, arrays: Sequence[npt.NDArray[np.uint8]]) -> None:
        self._arrays = [array for array in arrays if len(array)]
        self._starts = np.cumsum([0, *map(len, self._arrays)])
        self._resident: Tensor | None = None

    def __len__(self) -> int:
        return int(self._starts[-1])

    def hold_on(self, device: torch.device) -> None:
        """Copy all images to a GPU if they leave room enough there; elsewhere they are read as they are needed."""
        size = sum(array.nbytes for array in self._arrays)
        if device.type == "cuda" and size < _SHARE_OF_FREE_MEMORY * torch.cuda.mem_get_info(device)[0]:
            self._resident = self._copy_to(device)

    def _copy_to(self, device: torch.device) -> Tensor:
        resident = torch.empty((len(self), *self._arrays[0].shape[1:]), dtype=torch.uint8, device=device)
        for rows in torch.arange(len(self)).split(_ROWS_AT_A_TIME):
            resident[rows[0] : rows[-1] + 1] = torch.from_numpy(self.read(rows.numpy()))
        return resident

    def __getitems__(self, indices: npt.NDArray[np.int64]) -> Batch:
        """Return the batch of `indices`, which the data loader asks for as a whole.

        A mistake of the user's is returned, as the loader would raise its traceback from a process that reads ahead.
        """
        wanted = torch.from_numpy(indices)
        if self._resident is not None:
            return (wanted,)
        try:
            return wanted, torch.from_numpy(self.read(indices))
        except UserError as error:
            return error

    def read(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Read images from disk: int64 [B] to uint8 [B, H, W, C]."""
        part = np.searchsorted(self._starts, indices, side="right") - 1
        result = np.empty((len(indices), *self._arrays[0].shape[1:]), dtype=np.uint8)
        for number, array in enumerate(self._arrays):
            here = part == number
            result[here] = _read_rows(array, indices[here] - self._starts[number])
        return result

    def on_device(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the indices and the images of a batch that was moved to the device.

        Raises UserError when the batch could not be read.
        """
        if isinstance(batch, UserError):
            raise batch
        indices = batch[0]
        return indices, self._resident[indices] if self._resident is not None else batch[1]

    def loader(
        self, batches: Sampler[npt.NDArray[np.int64]], device: torch.device, workers: int | None = None
    ) -> DataLoader[Any]:
        """Return a loader of whole batches, read ahead by worker processes unless the device holds all images.

        None takes as many workers as keep a GPU busy, and none for a CPU, whose steps take much longer than to read.
        """
        on_gpu = device.type == "cuda"
        if self._resident is not None:
            workers = 0
        elif workers is None:
            workers = _WORKERS_OF_GPU if on_gpu else 0
        return DataLoader(
            self,
            batch_sampler=batches,  # type: ignore[arg-type]  # one array of indices a batch serves as well as a list
            collate_fn=_as_it_is,  # and so does a batch that is whole already
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=_end_with_training,
            multiprocessing_context="fork"
            if workers
            else None,  # a server between would end them when a signal ends it
            pin_memory=on_gpu,  # without it the step would wait for each copy to the GPU
        )


def _read_rows(array: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return some images of an array; those of a mapped file are read from the file.

    Pages that are read through a map count as memory of the process, and each of them drags in its neighbours from the
    disk, of which a shuffled order wants none.
    """
    if not (isinstance(array.base, mmap) and array.flags.c_contiguous):
        return array[rows]
    images = np.empty((len(rows), *array.shape[1:]), dtype=np.uint8)
    with Path(array.filename).open("rb", buffering=0) as file:
        for image, row in zip(images, rows.tolist(), strict=True):
            if os.preadv(file.fileno(), [image], array.offset + row * image.nbytes) != image.nbytes:
                raise UserError(f"{array.filename} was cut short before image {row}: run prepare again")
    return images


def _end_with_training(worker: int) -> None:
    """Outlive the signals that a scheduler or a terminal sends to all: the training reads on until it is saved."""
    ignore()
    die_with_parent()


def _as_it_is(batch: Batch) -> Batch:
    return batch
