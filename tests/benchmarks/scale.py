"""Print what an epoch of 1.3 million photographs costs on 1, 8 and 64 GPUs, as Markdown.

    python -m tests.benchmarks.scale

Nothing of this size is run: a step is counted as expected.py does it, and its time is corrected by what was measured of
another one on an H200; what was measured on a CPU comes from scale_parts.py. docs/scale.md contains this output.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property

import torch
from torch import Tensor, UntypedStorage
from torch.autograd.graph import saved_tensors_hooks

from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.pretrain import FittedPretrain
from simclr_steps.training.sync_batch_norm import batch_norms
from tests.benchmarks.data import REPOSITORY
from tests.benchmarks.expected import DEVICES, Parts, count_step, milliseconds
from tests.benchmarks.recipe import RECIPE, read_pretrain

IMAGES, HOLD_OUT, SIDE = 1_300_000, 50_000, 224
JUDGED, NEIGHBORS = 2_048, 10_000  # images whose loss, and whose neighbors, tell how good an epoch's encoder is
READERS = 4  # processes for each GPU, the default
IMAGE_BYTES = SIDE * SIDE * 3
FIRST_CHANNELS = 64  # of ResNet-50's first convolution, whose output has half the side
SLOWER = 0.1  # the share of a step by which small exchanges may prolong it
STATES = 2 + 6  # weights, momentum, and the most candidates that are kept besides: three best, three of quarters
SAVED_EVERY = 60  # seconds, the default

# One run of scale_parts.py on 2026-11-28, in CPU seconds for each image, or each byte of a training's state
DECODE, WRITE = 5.06e-3, 1.94e-3
READ, HAND_OVER, COPY = 195e-6, 48e-6, 35e-6
SAVE = 5.70e-9

_H200 = DEVICES[1]
RECORD = REPOSITORY / "tests/benchmarks/records/2026-11-26-gpu-NVIDIA-H200-2-speed.json"
_COUNTED = 256  # images of the step that is counted
_SETTINGS = FittedPretrain(
    encoder="resnet50", global_batch_size=_COUNTED, epochs=100, augmentation=Augmentation(preset="photos")
)


@dataclass(frozen=True)
class Machine:
    """GPUs, 8 on each node, and the images that each takes in a step."""

    gpus: int
    images: int

    @property
    def nodes(self) -> int:
        """How many of them."""
        return -(-self.gpus // 8)

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return IMAGES // (self.gpus * self.images)


MACHINES = (Machine(1, 256), Machine(8, 256), Machine(64, 64))


def counted(settings: FittedPretrain, side: int) -> tuple[Parts, int]:
    """Return the operations of a step, and the bytes of what its forward pass keeps for the backward one."""
    kept: dict[int, UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        parts = count_step(settings, side)
    return parts, sum(storage.nbytes() for storage in kept.values())


@cache
def measured_step() -> tuple[Parts, int]:
    """Return what is counted of the step that was measured: ResNet-18 on 512 images of 32 × 32 pixels."""
    return counted(read_pretrain(RECIPE, "resnet18_100"), 32)


class Step:
    """A training step of ResNet-50 on one H200, which is counted when it is first asked for."""

    @cached_property
    def ratio(self) -> float:
        """Measured time of the GPU's kernels in the step that was measured, beside the expected one."""
        profile = json.loads(RECORD.read_text())["parts"]["profile"]["plain"]
        parts, _ = measured_step()
        expected = sum(milliseconds(operations, _H200) for operations in parts.values())
        return float(profile["kernels_ms"]) / expected

    @cached_property
    def _counted(self) -> tuple[Parts, int]:
        return counted(_SETTINGS, SIDE)

    @cached_property
    def _encoder(self) -> Encoder:
        with torch.device("meta"):
            return Encoder(resolve(_SETTINGS, ImageFormat.of_8_bits((SIDE, SIDE), 3)))

    def seconds(self, images: int, *names: str) -> float:
        """Return the predicted time of some parts of a step, or of all, for a number of images."""
        parts, _ = self._counted
        shares = {name: 1.0 if name == "update" else images / _COUNTED for name in names or parts}
        return self.ratio * sum(share * milliseconds(parts[name], _H200) for name, share in shares.items()) / 1e3

    def seconds_of_features(self, images: int) -> float:
        """Return the predicted time of features of plain images, which are computed in fp32."""
        parts, _ = self._counted
        fp32 = [replace(one, moved_bytes=2 * one.moved_bytes, bf16=False) for one in parts["forward"]]
        return self.ratio * milliseconds(fp32, _H200) / 1e3 * images / (_SETTINGS.views * _COUNTED)

    def kept_bytes(self, images: int) -> float:
        """Return what the forward pass keeps for the backward one."""
        return self._counted[1] * images / _COUNTED

    @cached_property
    def weight_bytes(self) -> int:
        """Of all weights in fp32, and so of their gradients."""
        return 4 * sum(weights.numel() for weights in self._encoder.parameters())

    @cached_property
    def small_exchanges(self) -> int:
        """How often a step exchanges a batch norm's statistics: each layer forward and backward."""
        return 2 * len(batch_norms(self._encoder))

    @cached_property
    def statistics_bytes(self) -> int:
        """Of what a GPU hands to all all-gathers of a step: in fp32 the mean and the variance of each channel."""
        return 2 * 4 * sum(layer.get_buffer("running_mean").numel() for layer in batch_norms(self._encoder))


def main() -> None:
    """Print both tables."""
    print(markdown(), end="")


def markdown() -> str:
    """Return what the data set costs once, and what an epoch of it costs on each machine."""
    step = Step()
    names = [f"{one.gpus} GPU{'s' * (one.gpus > 1)}" for one in MACHINES]
    once = _table(["once", "", "how it is known"], _once(step))
    return once + "\n" + _table(["an epoch on", *names, "how it is known"], _each(step))


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))


def _once(step: Step) -> list[list[str]]:
    state = STATES * step.weight_bytes
    return [
        ["disk: images to train on", f"{IMAGES * IMAGE_BYTES / 1e9:.1f} GB", "exact"],
        ["disk: hold-out, which each GPU holds, too", f"{HOLD_OUT * IMAGE_BYTES / 1e9:.1f} GB", "exact"],
        ["`prepare`: decoding", f"{(IMAGES + HOLD_OUT) * DECODE / 3600:.1f} h of one core", "measured"],
        ["`prepare`: the process that writes, in any case", f"{(IMAGES + HOLD_OUT) * WRITE / 60:.0f} min", "measured"],
        ["disk: a save; two are kept, and a third while it is written", f"{state / 1e9:.1f} GB at most", "exact"],
        [f"a save, every {SAVED_EVERY} s: all GPUs wait", f"{state * SAVE:.1f} s of CPU, without the disk", "measured"],
    ]


def _each(step: Step) -> list[list[str]]:
    def row(what: str, of: Callable[[Machine], str], how: str) -> list[str]:
        return [what, *map(of, MACHINES), how]

    def several(what: str, of: Callable[[Machine], str], how: str) -> list[str]:
        return row(what, lambda one: of(one) if one.gpus > 1 else "none", how)

    def rate(one: Machine) -> float:
        """Return the images/s of one GPU."""
        return one.images / step.seconds(one.images)

    def sent(one: Machine) -> float:
        """Return the bytes of gradients that leave each GPU, and each node, if they pass them on in a ring."""
        return 2 * (one.gpus - 1) / one.gpus * step.weight_bytes

    def in_all(one: Machine, seconds_of_read: float = 0.0) -> float:
        """Return the time of an epoch in which the disk takes some for each image that is read without readers."""
        now_and_then = (neighbors + NEIGHBORS * seconds_of_read) / _SETTINGS.monitor_epochs
        seconds = one.steps * step.seconds(one.images) + loss + now_and_then
        return seconds * (1 + STATES * step.weight_bytes * SAVE / SAVED_EVERY)

    loss = step.seconds(JUDGED, "views", "forward")
    neighbors = step.seconds_of_features(JUDGED + NEIGHBORS) + NEIGHBORS * READ
    exchanges = step.small_exchanges
    return [
        row("images of a step, in all", lambda one: f"{one.gpus * one.images:,}", "chosen"),
        row("a step", lambda one: f"{1e3 * step.seconds(one.images):.0f} ms", "predicted"),
        row("images/s, in all", lambda one: f"{one.gpus * rate(one):,.0f}", "predicted"),
        row("all steps", lambda one: f"{one.steps * step.seconds(one.images):.1f} s", "predicted"),
        row("loss of the hold-out", lambda _: f"{loss:.1f} s", "predicted"),
        row(
            f"every tenth epoch: neighbors, from the cache; each ms that a read takes adds {NEIGHBORS / 1e3:.0f} s",
            lambda _: f"{neighbors:.1f} s",
            "predicted, CPU measured",
        ),
        row(
            "an epoch in all, with saves, from the cache", lambda one: f"{in_all(one):.0f} s", "predicted, CPU measured"
        ),
        row(
            f"the same if a read takes as long as {READERS} readers allow",
            lambda one: f"{in_all(one, READERS / rate(one)):.0f} s",
            "predicted, CPU measured",
        ),
        row("activations in each GPU", lambda one: f"{step.kept_bytes(one.images) / 1e9:.1f} GB", "counted"),
        row(
            "judging the hold-out: views, first output", lambda one: f"{_judging(one) / 1e9:.1f} GB", "exact, at least"
        ),
        row("read by each node", lambda one: _gigabytes(one.gpus / one.nodes * rate(one)), "required"),
        row("read in all", lambda one: _gigabytes(one.gpus * rate(one)), "required"),
        row(
            f"one read, with {READERS} readers", lambda one: f"{1e3 * READERS / rate(one):.1f} ms", "required, at most"
        ),
        row("CPU cores to read, for each GPU", lambda one: f"{rate(one) * (READ + HAND_OVER + COPY):.1f}", "measured"),
        row("memory of its readers' batches", lambda one: f"{_ahead(one) / 1e6:.0f} MB", "exact"),
        several("gradients that a GPU sends in a step", lambda one: f"{sent(one) / 1e6:.0f} MB", "exact"),
        several(
            "that within the backward pass",
            lambda one: f"{sent(one) / step.seconds(one.images, 'backward') / 1e9:.1f} GB/s",
            "required",
        ),
        several(
            f"results of batch norm's {exchanges // 2} all-gathers in a step",
            lambda one: f"{one.gpus * step.statistics_bytes / 1e6:.1f} MB",
            "exact",
        ),
        several(
            f"each of {exchanges} exchanges of batch norm",
            lambda one: f"{1e6 * SLOWER * step.seconds(one.images) / exchanges:.0f} µs",
            f"required for {100 * SLOWER:.0f} % of a step",
        ),
    ]


def _ahead(machine: Machine) -> int:
    """Return the bytes of the batches that readers keep, and of two more that are on their way."""
    return (2 * READERS + 2) * machine.images * IMAGE_BYTES


def _judging(machine: Machine) -> int:
    """Return the bytes of the hold-out's views, in fp32, and of the first convolution's output for them, in bf16.

    As many images are judged at a time as a global batch has, and all of them on each GPU.
    """
    views = _SETTINGS.views * min(JUDGED, machine.gpus * machine.images)
    return views * (4 * IMAGE_BYTES + 2 * FIRST_CHANNELS * (SIDE // 2) ** 2)


def _gigabytes(images_per_second: float) -> str:
    return f"{images_per_second * IMAGE_BYTES / 1e9:.2f} GB/s"


if __name__ == "__main__":
    main()
