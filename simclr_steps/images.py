"""Packed images as training reads them: held on the device where they fit, read from disk where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

_SHARE_OF_FREE_MEMORY = 0.4  # the rest is for activations


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
            self._resident = torch.cat([torch.from_numpy(np.array(array)).to(device) for array in self._arrays])

    def __getitems__(self, indices: npt.NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Return the batch of `indices`, which the data loader asks for as a whole."""
        wanted = torch.from_numpy(indices)
        return (wanted,) if self._resident is not None else (wanted, torch.from_numpy(self.read(indices)))

    def read(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Read images from disk: int64 [B] to uint8 [B, H, W, C]."""
        part = np.searchsorted(self._starts, indices, side="right") - 1
        result = np.empty((len(indices), *self._arrays[0].shape[1:]), dtype=np.uint8)
        for number, array in enumerate(self._arrays):
            here = part == number
            result[here] = array[indices[here] - self._starts[number]]
        return result

    def on_device(self, batch: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the indices and the images of a batch that was moved to the device."""
        indices = batch[0]
        return indices, self._resident[indices] if self._resident is not None else batch[1]

    def loader(self, batches: Sampler[npt.NDArray[np.int64]], workers: int) -> DataLoader[Any]:
        """Return a loader of whole batches; images that are on the device already need no workers."""
        resident = self._resident is not None
        workers = 0 if resident else workers
        return DataLoader(
            self,
            batch_sampler=batches,  # type: ignore[arg-type]  # one array of indices a batch serves as well as a list
            collate_fn=_as_it_is,  # type: ignore[arg-type]  # and so does a batch that is whole already
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )


def _as_it_is(batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return batch
