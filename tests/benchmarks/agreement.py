"""Parts of a benchmark of a GPU: the losses of a few steps there and on the CPU, in one process and in two.

The CPU's half takes a minute that a rare GPU need not wait for. It is computed elsewhere and carried along:

    python -m tests.benchmarks.agreement cpu.json --pretrain resnet18_100
    python -m tests.benchmarks.gpu … --cpu-losses cpu.json agreement
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from simclr_steps.data.packed import read_description
from simclr_steps.files import read_json, read_table, write_json
from simclr_steps.machine.code_hash import code_hash
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.provenance import Record
from simclr_steps.settings.pretrain import FittedPretrain
from simclr_steps.steps.pretrain import pretrain
from tests.benchmarks import data
from tests.benchmarks.recipe import RECIPE, read_pretrain
from tests.benchmarks.session import Session
from tests.benchmarks.turns import in_own_process
from tests.benchmarks.two_processes import losses as losses_of_processes

Figures = dict[str, Any]
STEPS, BATCH, SEED = 20, 128, 0
# Moving a ResNet-18's weights by one rounding moves the loss by 1e-7 in step 1 and by 1e-4 in step 20, at a tenth of
# the rate (CPU, batch 32); at the whole rate by 4e-3, so that it would tell less.
RATE, FIRST_TOLERANCE, TOLERANCE = 0.1, 1e-5, 5e-3


def compare_with_cpu(session: Session) -> Iterator[Figures]:
    """Train the same few steps in fp32 on the CPU, unless that was done elsewhere, and on the device."""
    few = few_steps(session.chosen)
    folder = session.options.work / "agreement"
    packed = _random_images(few, folder)
    if session.options.cpu_losses:
        expected = read_losses(session.options.cpu_losses, few, packed)
    else:
        expected = train(few, packed, folder / "cpu", Hardware(gpus=0))
    hardware = replace(session.hardware, compile="never")
    found = in_own_process(train, few, packed, folder / "device", hardware, limit=session.limit())
    yield _compared(expected, found, few.global_batch_size)


def compare_processes(session: Session) -> Iterator[Figures]:
    """Train the same few steps in one process and in two that share the device."""
    few = few_steps(session.chosen)
    one, two = (
        in_own_process(
            losses_of_processes, session.packed, few, processes, session.device, STEPS, limit=session.limit()
        )
        for processes in (1, 2)
    )
    yield _compared(one, two, few.global_batch_size)


def few_steps(chosen: FittedPretrain) -> FittedPretrain:
    """Return the settings of a training whose epochs are the steps to compare."""
    changed = {"epochs": STEPS, "precision": "fp32", "learning_rate": RATE * chosen.learning_rate}
    return chosen.model_copy(update={**changed, "global_batch_size": min(BATCH, chosen.global_batch_size)})


def train(few: FittedPretrain, packed: Path, folder: Path, hardware: Hardware) -> list[float]:
    """Return the loss of each step."""
    pretrain(few, data=packed, seed=SEED, out=folder / "out", work=folder / "work", hardware=hardware)
    return [float(row["loss"]) for row in read_table(folder / "out" / "history.csv")[1:]]


def _random_images(few: FittedPretrain, folder: Path) -> Path:
    """Pack as many random images as a step takes: it is then an epoch, whose loss is on record."""
    shutil.rmtree(folder, ignore_errors=True)
    return data.random_images(folder, few.global_batch_size)


def _compared(expected: Sequence[float], found: Sequence[float], batch: int) -> Figures:
    differences = [abs(a - b) / abs(a) for a, b in zip(expected, found, strict=True)]
    return {
        "agree": differences[0] <= FIRST_TOLERANCE and max(differences) <= TOLERANCE,
        "first_relative_difference": differences[0],
        "largest_relative_difference": max(differences),
        "tolerances": {"first": FIRST_TOLERANCE, "all": TOLERANCE},
        "steps": len(expected),
        "batch": batch,
        "expected": list(expected),
        "found": list(found),
    }


def write_losses(file: Path, few: FittedPretrain) -> None:
    """Train on the CPU, and write the losses and what they are of."""
    record = Record("pretrain", few, None, SEED)
    with tempfile.TemporaryDirectory() as folder:
        packed = _random_images(few, Path(folder, "images"))
        losses = train(few, packed, Path(folder), Hardware(gpus=0))
        write_json(file, {"made_of": _made_of(few, packed), "losses": losses, "run": record.finish()})


def read_losses(file: Path, few: FittedPretrain, packed: Path) -> list[float]:
    """Read the losses of the same training on the CPU.

    Raises UserError when the file's are those of another one.
    """
    if not file.exists():
        raise UserError(f"{file} does not exist: write it with python -m tests.benchmarks.agreement")
    content = read_json(file)
    wanted = _made_of(few, packed)
    other = [key for key, value in wanted.items() if content["made_of"].get(key) != value]
    if other:
        raise UserError(
            f"{file} holds losses of other {' and '.join(other)}: write it with python -m tests.benchmarks.agreement"
        )
    losses: list[float] = content["losses"]
    return losses


def _made_of(few: FittedPretrain, packed: Path) -> Figures:
    """Return all that the losses depend on but the machine."""
    return {
        "settings": few.model_dump(mode="json"),
        "images": read_description(packed).content_hash,
        "code": code_hash("pretrain"),
        "torch": torch.__version__.split("+")[0],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the CPU's half."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="JSON file to write")
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--pretrain", default="resnet18_100", help="block of the recipe (resnet18_100)")
    options = parser.parse_args(arguments)
    try:
        write_losses(options.file, few_steps(read_pretrain(options.recipe, options.pretrain)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
