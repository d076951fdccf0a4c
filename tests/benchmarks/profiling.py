"""What the device does during some steps of a pretraining: its kernels, how long it is busy, and what waits for it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lightning.pytorch as L
import torch
from torch.profiler import ProfilerActivity, profile

from simclr_steps.data.packed import read_split
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
from simclr_steps.settings.pretrain import FittedPretrain
from simclr_steps.steps.pretrain import pretrain
from simclr_steps.training.resuming import resumable

_SHOWN = 40
_WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMemcpy", "cudaMalloc")


def profile_steps(data: Path, chosen: FittedPretrain, hardware: Hardware, first: int, steps: int) -> dict[str, Any]:
    """Return figures of `steps` steps after the `first` ones of a pretraining of one epoch; times are ms a step.

    `wall` is measured without the profiler, which slows the host, in as many steps just before.

    Raises UserError when the epoch has fewer steps.
    """
    in_an_epoch = len(read_split(data, "train")) // chosen.global_batch_size
    if in_an_epoch < first + 2 * steps:
        raise UserError(f"a profile takes {first + 2 * steps} steps, and an epoch has {in_an_epoch}: lower --steps")
    watch = _Watch(hardware.claim().device, first, steps)
    with tempfile.TemporaryDirectory() as folder:
        out, work = Path(folder, "out"), Path(folder, "work")
        one_epoch = chosen.model_copy(update={"epochs": 1})
        with patch("simclr_steps.steps.pretrain.resumable", lambda *given: [*resumable(*given), watch]):
            pretrain(one_epoch, data=data, seed=0, out=out, work=work, hardware=hardware)
    return watch.figures()


class _Watch(L.Callback):
    def __init__(self, device: torch.device, first: int, steps: int) -> None:
        self._device, self._first, self._steps = device, first, steps
        self._wall = 0.0
        self._on_gpu = device.type == "cuda"
        gpu = [ProfilerActivity.CUDA] if self._on_gpu else []
        self._profile = profile(activities=[ProfilerActivity.CPU, *gpu])

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        done = trainer.global_step - self._first
        if done in (0, self._steps, 2 * self._steps) and self._on_gpu:
            torch.cuda.synchronize(self._device)
        if done == 0:
            self._wall = time.perf_counter()
        elif done == self._steps:
            self._wall = time.perf_counter() - self._wall
            self._profile.start()
        elif done == 2 * self._steps:
            self._profile.stop()

    def figures(self) -> dict[str, Any]:
        wall = 1e3 * self._wall
        return {"steps": self._steps, "wall_ms": wall / self._steps, **(self._of_gpu(wall) if self._on_gpu else {})}

    def _of_gpu(self, wall: float) -> dict[str, Any]:
        events = [event for event in self._profile.key_averages() if not event.is_user_annotation]
        kernels = [event for event in events if event.device_type.name == "CUDA"]
        kernels.sort(key=lambda event: -event.self_device_time_total)
        busy = sum(event.self_device_time_total for event in kernels) / 1e3
        return {
            "kernels_ms": busy / self._steps,
            "busy": busy / wall,
            "kernels": sum(event.count for event in kernels) / self._steps,
            "waits": {event.key: event.count / self._steps for event in events if event.key in _WAITS},
            "longest": [
                {
                    "kernel": event.key[:120],
                    "ms": event.self_device_time_total / 1e3 / self._steps,
                    "launches": event.count / self._steps,
                }
                for event in kernels[:_SHOWN]
            ],
        }
