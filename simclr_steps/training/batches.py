"""Which images make up each batch: tied only to seed and step, so any number of processes sees the same batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler


class GlobalBatches(Sampler[npt.NDArray[np.int64]]):
    """Yields this process's slice of each global batch, from the step at which training stands.

    Parameters
    ----------
    images
        How many images there are, or the indices of those to use; they are shuffled anew in each epoch.
    global_batch_size
        Images in a batch over all processes.
    step
        Returns how many updates were made so far, so that a resumed epoch goes on where it stopped.
    use_all
        An epoch has every image, in batches of nearly equal size; else what does not fill a batch is left out.
    """

    def __init__(
        self,
        images: int | npt.NDArray[np.int64],
        global_batch_size: int,
        seed: int,
        step: Callable[[], int],
        *,
        rank: int = 0,
        processes: int = 1,
        use_all: bool = False,
    ) -> None:
        self._images, self._seed, self._step = images, seed, step
        self._rank, self._processes = rank, processes
        count = images if isinstance(images, int) else len(images)
        self._batches = batches_of_all(count, global_batch_size) if use_all else count // global_batch_size
        self._used = count if use_all else self._batches * global_batch_size

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self._batches

    def __iter__(self) -> Iterator[npt.NDArray[np.int64]]:
        epoch, first = divmod(self._step(), self._batches)
        order = np.random.default_rng([self._seed, epoch]).permutation(self._images)[: self._used]
        for batch in np.array_split(order, self._batches)[first:]:
            yield batch[self._rank :: self._processes]


def batches_of_all(images: int, batch_size: int) -> int:
    """Return how many batches of nearly equal size hold all images; none is a single image, which batch norm refuses.

    The batches are of at most `batch_size` images, or one more where that saves an image from being alone.
    """
    batches = -(-images // batch_size)
    return batches - 1 if batches > 1 and images // batches == 1 else batches
