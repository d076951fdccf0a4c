"""Packed images as training reads them: held on the device where they fit, read from disk where they do not."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from simclr_steps.data.packed import Pixels
from simclr_steps.data.splits import Rows
from simclr_steps.machine.errors import UserError
from simclr_steps.networks.encoders import Classifier, Encoder
from simclr_steps.networks.features import compute_features, images_at_a_time
from simclr_steps.training.readers import SHARED, WatchedLoader, shared_memory, start_reader, usable_readers

Batch = Sequence[Tensor] | UserError

_SHARE_OF_FREE_MEMORY = 0.4  # the rest is for activations
_ROWS_AT_A_TIME = 4096
_WORKERS_OF_GPU = 4


class Images(Dataset[Any]):
    """The images of several packed arrays, one after the other, in batches of indices.

    A batch is `indices`, int64 [B], alone when the images are on the device, or with these, [B, H, W, C], when not.
    Images are uint8 or uint16, as in the arrays.
    """

    def __init__(self, arrays: Sequence[Pixels]) -> None:
        self._arrays = [array for array in arrays if len(array)]
        self._starts = np.cumsum([0, *map(len, self._arrays)])
        self._shape = self._arrays[0].shape[1:] if self._arrays else ()
        self._dtype = self._arrays[0].dtype if self._arrays else np.dtype(np.uint8)
        self._resident: Tensor | None = None  # [R, H, W, C], on the device; see _to_index
        self._place = torch.empty(0, dtype=torch.int64)  # of each image among the resident ones, on the device

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def at_a_time(self) -> int:
        """How many of these images make a batch of `compute_features`."""
        return images_at_a_time(self._arrays[0])

    def hold_on(self, device: torch.device, rows: Rows | None = None) -> None:
        """Copy the images of some rows to a GPU, or all, if they leave room enough there; no others may be asked for.

        Elsewhere images are read as they are needed.
        """
        rows = np.arange(len(self)) if rows is None else rows
        size = len(rows) * self._image_bytes
        if device.type == "cuda" and size < _SHARE_OF_FREE_MEMORY * torch.cuda.mem_get_info(device)[0]:
            self._copy_to(device, rows)

    def _copy_to(self, device: torch.device, rows: Rows) -> None:
        self._place = torch.full((len(self),), -1, device=device)
        self._place[torch.from_numpy(rows).to(device)] = torch.arange(len(rows), device=device)
        self._resident = torch.empty((len(rows), *self._shape), dtype=_to_index(self._dtype), device=device)
        for start in range(0, len(rows), _ROWS_AT_A_TIME):
            part = torch.from_numpy(self.read(rows[start : start + _ROWS_AT_A_TIME])).view(self._resident.dtype)
            self._resident[start : start + len(part)] = part

    def __getitems__(self, indices: Rows) -> Batch:
        """Return the batch of `indices`, which the data loader asks for as a whole.

        A mistake of the user's is returned, as the loader would raise its traceback from a process that reads ahead.
        """
        wanted = torch.from_numpy(indices)
        if self._resident is not None:
            return (wanted,)
        try:
            if get_worker_info() is None:
                return wanted, torch.from_numpy(self.read(indices))
            return self._read_to_share(indices)
        except UserError as error:
            return error

    def _read_to_share(self, indices: Rows) -> Batch:
        """Read images, in a process that reads ahead, into memory that the training shares, so that none is copied.

        The indices are put there, too: what is not shared when torch sends it is shared in a thread whose errors
        nobody would see, and the training would wait forever.
        """
        shape = (len(indices), *self._shape)
        try:
            shared, images = shared_memory(torch.int64, indices.shape), shared_memory(self._torch_dtype, shape)
        except RuntimeError as error:
            raise UserError(f"{SHARED} has no room for a batch: enlarge it, or run again with --workers 0") from error
        self.read(indices, images.numpy())
        return shared.copy_(torch.from_numpy(indices)), images

    def read(self, indices: Rows, into: Pixels | None = None) -> Pixels:
        """Read images from disk: int64 [B] to [B, H, W, C], a new array or the one that is given."""
        part = np.searchsorted(self._starts, indices, side="right") - 1
        result = np.empty((len(indices), *self._shape), dtype=self._dtype) if into is None else into
        for number, array in enumerate(self._arrays):
            here = np.flatnonzero(part == number)
            _read_rows(array, indices[here] - self._starts[number], result, here)
        return result

    def fetch(self, indices: Rows, device: torch.device) -> Tensor:
        """Return images on the device, from there or from disk: int64 [B] to [B, H, W, C]."""
        if self._resident is not None:
            return self._held(self._resident, torch.from_numpy(indices).to(device))
        return torch.from_numpy(self.read(indices)).to(device)

    def on_device(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the indices and the images of a batch that was moved to the device.

        Raises
        ------
        UserError
            When the batch could not be read.
        """
        if isinstance(batch, UserError):
            raise batch
        indices = batch[0]
        return indices, self._held(self._resident, indices) if self._resident is not None else batch[1]

    def _held(self, resident: Tensor, indices: Tensor) -> Tensor:
        return resident[self._place[indices]].view(self._torch_dtype)

    @property
    def _torch_dtype(self) -> torch.dtype:
        return torch.uint8 if self._dtype == np.uint8 else torch.uint16

    @property
    def _image_bytes(self) -> int:
        return math.prod(self._shape) * self._dtype.itemsize

    def loader(
        self, batches: Sampler[Rows], device: torch.device, batch_size: int, workers: int | None = None
    ) -> DataLoader[Any]:
        """Return a loader of whole batches, read ahead by worker processes unless the device holds all images.

        They have about `batch_size` images. None takes as many workers as keep a GPU busy, and none for a CPU, whose
        steps take much longer than to read.
        """
        on_gpu = device.type == "cuda"
        if self._resident is not None:
            workers = 0
        elif workers is None:
            workers = _WORKERS_OF_GPU if on_gpu else 0
        workers = usable_readers(workers, batch_size * self._image_bytes)
        return WatchedLoader(
            self,
            batch_sampler=batches,  # type: ignore[arg-type]  # one array of indices a batch serves as well as a list
            collate_fn=_as_it_is,  # and so does a batch that is whole already
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=start_reader,
            multiprocessing_context="fork"
            if workers
            else None,  # a server between would end them when a signal ends it
            pin_memory=on_gpu,  # without it the step would wait for each copy to the GPU
        )


def _to_index(dtype: np.dtype[Any]) -> torch.dtype:
    """Return the type as which a device holds images of a type, to take some of them by their indices.

    Of uint16 torch knows little more than to copy and to convert it, and on which devices it indexes it is not said.
    As int16 the same bits are indexed everywhere.
    """
    return torch.uint8 if dtype == np.uint8 else torch.int16


def _read_rows(array: Pixels, rows: Rows, into: Pixels, places: Rows) -> None:
    """Read some images of an array to some places of another; those of a mapped file are read from the file.

    Pages that are read through a map count as memory of the process, and each of them drags in its neighbors from the
    disk, of which a shuffled order wants none.
    """
    if not (isinstance(array.base, mmap) and array.flags.c_contiguous):
        into[places] = array[rows]
        return
    with Path(array.filename).open("rb", buffering=0) as file:
        for row, place in zip(rows.tolist(), places.tolist(), strict=True):
            image = into[place]
            if os.preadv(file.fileno(), [image], array.offset + row * image.nbytes) != image.nbytes:
                raise UserError(f"{array.filename} was cut short before image {row}: run prepare again")


def outputs(network: Encoder | Classifier, images: Images, rows: Rows, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the outputs of `compute_features` for one image or more, on the device, reading a batch at a time."""
    batches = np.array_split(rows, range(images.at_a_time, len(rows), images.at_a_time))
    parts = [compute_features(network, images.fetch(batch, device), device) for batch in batches]
    features, second = (torch.from_numpy(np.concatenate(part)).to(device) for part in zip(*parts, strict=True))
    return features, second


def _as_it_is(batch: Batch) -> Batch:
    return batch
