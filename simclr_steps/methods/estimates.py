"""About how long a pretraining takes and how much disk space, before anything is trained: by rules of thumb."""

from __future__ import annotations

import os
from collections.abc import Iterator
from time import perf_counter

import numpy as np

from simclr_steps.data.first_look import FirstLook
from simclr_steps.methods.fitting import fitted_numbers
from simclr_steps.settings.sizes import Size

_GPU_SPEED = 20e12  # operations per second that a GPU is taken to reach
_SHARE_OF_PRODUCT = 0.4  # of the speed of a matrix product that training reaches on a CPU
_PER_PIXEL = {"imagenet": 3.6e4, "small": 5.5e5}  # multiplications of a ResNet-18, by its stem
_OF_TRAINING = 6  # a multiplication is two operations, and backward is twice forward
_BUSY = 1.5  # programs for each core
_SIDE, _SECONDS = 1024, 0.2  # of the matrices that are multiplied, and for how long


def estimates(look: FirstLook, size: Size, stem: str, train: int, *, has_gpu: bool) -> Iterator[str]:
    """Yield what pretraining a ResNet-18 takes, and on which machine, in sentences.

    Parameters
    ----------
    size
        Of the images that are trained on, or of their views.
    train
        Files to train on; if they are cut into tiles, those are counted.
    """
    cores, memory = os.cpu_count() or 1, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield f"Machine: {'a GPU' if has_gpu else 'no GPU'}, {cores} CPU cores, {_bytes(memory)} of memory."
    images = max(2, round(train * look.parts))
    batch, epochs = fitted_numbers(images, "auto", "auto")
    height, width = size
    operations = 2 * epochs * (images // batch * batch) * height * width * _PER_PIXEL[stem] * _OF_TRAINING
    product = 0.0 if has_gpu else _speed_of_product()
    speed = _GPU_SPEED if has_gpu else _SHARE_OF_PRODUCT * product
    assumed = (
        f"if the GPU computes {_GPU_SPEED / 1e12:.0f} TFLOP/s"
        if has_gpu
        else f"as a matrix product reached {product / 1e9:.0f} GFLOP/s here and training reaches about "
        f"{100 * _SHARE_OF_PRODUCT:.0f} % of that{_busy(cores)}"
    )
    yield (
        f"Time: about {_roughly(operations / speed)} for pretraining, {epochs} epochs with batches of {batch}, "
        f"{assumed}; it may take a third as long or three times as long. The other steps are not counted."
    )
    stored = size if look.keys["source"] == "folder" else look.sizes[0]
    values = len(look.listing.names) * look.parts * stored[0] * stored[1] * look.channels
    is_deep = look.dtype != "uint8"
    waiting = f", and {_bytes(4 * values)} more while they are packed" if is_deep else ""
    yield (
        f"Disk: about {_bytes(values * (1 + is_deep))} for the packed images{waiting}, and about half a GB for the "
        "checkpoints and results of a run."
    )


def _busy(cores: int) -> str:
    """Return that other programs slow this machine down, if they do, and what that means."""
    load = os.getloadavg()[0]
    if load <= _BUSY * cores:
        return ""
    return f", but the machine is busy with {load:.0f} programs at once: it takes less time when they have ended"


def _speed_of_product() -> float:
    """Return how many operations per second the CPUs reach in a matrix product of float32."""
    matrix = np.ones((_SIDE, _SIDE), dtype=np.float32)
    _ = matrix @ matrix  # starts the threads
    started, products = perf_counter(), 0
    while (taken := perf_counter() - started) < _SECONDS or not products:
        _ = matrix @ matrix
        products += 1
    return 2 * products * _SIDE**3 / taken


def _roughly(seconds: float) -> str:
    """Return a duration without what is not known: 42 s, 7 min, 3 h, 12 days."""
    for unit, length, most in (("s", 1, 60), ("min", 60, 60), ("h", 3600, 48)):
        if seconds / length < most:
            return f"{max(1, round(seconds / length))} {unit}"
    return f"{round(seconds / 86_400)} days"


def _bytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{max(0.1, count / 1e6):,.1f} MB"
