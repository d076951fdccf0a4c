"""Print what a step of pretraining should cost on a GPU, as Markdown: operations, FLOPs, bytes and milliseconds.

    python -m tests.benchmarks.expected

Nothing is computed, so no GPU is needed: the step runs on fake tensors, which have a shape and no content. GPU.md
contains this output; compare measurements with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from simclr_steps.methods import random_numbers
from simclr_steps.methods.loss import nt_xent
from simclr_steps.methods.views import random_views
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.pretrain import FittedPretrain
from simclr_steps.training.optimizers import build_optimizer, scaled_learning_rate
from tests.benchmarks.counting import Counter, Operation
from tests.benchmarks.recipe import RECIPE, read_pretrain

SIDES = (32, 224)  # pixels of an image, and of its views
EPOCH = 50_000  # images

Parts = dict[str, list[Operation]]


@dataclass(frozen=True)
class Device:
    """A GPU's data sheet."""

    name: str
    bf16: float  # FLOP/s of dense matrix products
    fp32: float  # FLOP/s without tensor cores, which the products of the views and of the loss do not use
    bandwidth: float  # bytes/s

    def __str__(self) -> str:
        """Return the figures in words."""
        flops = f"{self.bf16 / 1e12:.0f} TFLOP/s in bf16, {self.fp32 / 1e12:.0f} in fp32"
        return f"{self.name}: {flops}, {self.bandwidth / 1e12} TB/s"


DEVICES = (Device("H100 SXM", 989e12, 67e12, 3.35e12), Device("H200", 989e12, 67e12, 4.8e12))
REACHABLE_FLOPS, REACHABLE_BANDWIDTH = 0.6, 0.8
ASSUMPTIONS = f"""\
- A step of ResNet-18 in bf16 with SGD, on 512 images in two views, as `python -m tests.benchmarks.expected` counts it.
- Bytes are the inputs and outputs of each operation, assuming no cache; batch norm reads its inputs twice.
- An operation takes the longer of its FLOPs at {100 * REACHABLE_FLOPS:.0f} % and its bytes at \
{100 * REACHABLE_BANDWIDTH:.0f} % of the data sheet; a part takes the sum of its operations.
- Data sheets: {"; ".join(map(str, DEVICES))}. They do not apply to a PCIe H100 (2.0 TB/s).
- These shares are assumed: large copies and products come near the data sheet; strided reads, short kernels and
  convolutions of few channels stay below.
"""


def main() -> None:
    """Print what is assumed, and the tables."""
    print(markdown(), end="")


def markdown() -> str:
    """Return what is assumed, and one table for each size of images."""
    settings = read_pretrain(RECIPE, "resnet18_100")
    return "\n".join([ASSUMPTIONS, *(table(settings, side) for side in SIDES)])


def table(settings: FittedPretrain, side: int) -> str:
    """Return the parts of a step and their sum as Markdown."""
    parts = count_step(settings, side)
    step = [operation for operations in parts.values() for operation in operations]
    steps = EPOCH // settings.global_batch_size
    epochs = "".join(f" {steps * milliseconds(step, device) / 1e3:.1f} s |" for device in DEVICES)
    return "\n".join(
        [
            f"| {side} × {side} pixels | operations | TFLOP | GB |" + "".join(f" {d.name}, ms |" for d in DEVICES),
            "|---" * (4 + len(DEVICES)) + "|",
            *(row(name, operations) for name, operations in parts.items()),
            row("step", step),
            f"| {EPOCH:,} images | | | |{epochs}",
            "",
        ]
    )


def row(name: str, operations: Sequence[Operation]) -> str:
    """Return one row of the table."""
    flops = sum(operation.flops for operation in operations) / 1e12
    moved = sum(operation.moved_bytes for operation in operations) / 1e9
    times = "".join(f" {milliseconds(operations, device):.2f} |" for device in DEVICES)
    return f"| {name} | {len(operations)} | {flops:.2f} | {moved:.1f} |{times}"


def milliseconds(operations: Sequence[Operation], device: Device) -> float:
    """Return the time of some operations, one after the other."""
    return 1e3 * sum(
        max(
            operation.flops / REACHABLE_FLOPS / (device.bf16 if operation.bf16 else device.fp32),
            operation.moved_bytes / REACHABLE_BANDWIDTH / device.bandwidth,
        )
        for operation in operations
    )


def count_step(settings: FittedPretrain, side: int) -> Parts:
    """Return the operations of each part of a training step on images of `side` × `side` pixels."""
    parts: Parts = {}
    architecture = resolve(settings, ImageFormat.of_8_bits((side, side), 3))
    encoder = Encoder(architecture).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = build_optimizer([encoder.parameters()], settings, scaled_learning_rate(settings))
    with FakeTensorMode(allow_non_fake_inputs=True):
        images = torch.empty(settings.global_batch_size, side, side, 3, dtype=torch.uint8)
        with _counted(parts, "views"):
            keys = random_numbers.keys(0, 0, torch.arange(len(images)), settings.views)
            views = random_views(images, keys, settings.augmentation, architecture.image_size)
            x = views.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        with _counted(parts, "forward"), torch.autocast("cpu", torch.bfloat16):
            _, projections = encoder(x)
        with _counted(parts, "loss"):
            loss = nt_xent(projections.unflatten(0, (settings.views, len(images))), settings.temperature)
        with _counted(parts, "backward"):
            loss.backward()
        optimizer.step()  # the first makes the momentum, which every other reads and writes
        with _counted(parts, "update"):
            optimizer.step()
    return parts


@contextmanager
def _counted(parts: Parts, name: str) -> Iterator[None]:
    with Counter() as counter:
        yield
    parts[name] = counter.operations


if __name__ == "__main__":
    main()
