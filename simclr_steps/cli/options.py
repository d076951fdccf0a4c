"""What a command and its options are, and the options of all steps, each written once."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from simclr_steps.machine.compilation import COMPILE, STEPS_TO_PAY
from simclr_steps.machine.options import Hardware, Saving
from simclr_steps.machine.replaced import check_file, check_folder
from simclr_steps.settings.base import LARGEST_SEED, PACKED_SPLITS, SPLITS
from simclr_steps.settings.judged import JudgedBy

GROUPS: dict[str, Any] = {"hardware": Hardware, "saving": Saving}  # parameters that take several options
REST = "--"  # the flag of an option that takes all words after it; such a step's other options have no values


@dataclass(frozen=True)
class Option:
    """An option, or a positional argument where `flag` has no dashes."""

    flag: str
    to: str  # the parameter of the step's function that takes the value, or a field of one, as in hardware.gpus
    keywords: Mapping[str, Any]  # of argparse's add_argument
    settings: Any = None  # the kind of settings that the text is read as
    check: Callable[[Path], None] | None = None  # raises UserError when the step could not write there


@dataclass(frozen=True)
class Step:
    """A command. It calls the function of its name in the module of its name, which is imported no earlier."""

    name: str
    help: str
    options: tuple[Option, ...]
    wing: str = "steps"
    logs: bool = True  # to the console and, with --log, to a file
    begins: str = ""  # what it says, on a terminal only, before imports that take seconds, if it does not log
    side_by_side: tuple[str, ...] = ()  # arguments with other values of which the step writes other files into `out`


def settings(kind: Any, text: str, to: str = "settings") -> Option:
    """Return --settings for one kind of settings, a class or an annotated union of them."""
    form = f"{text}: inline JSON, or a YAML or JSON file"
    return Option("--settings", to, {"required": True, "metavar": "JSON|FILE", "help": form}, kind)


def path(name: str, text: str, *, required: bool = True) -> Option:
    """Return the option of a file or folder, which goes to the parameter of its name."""
    return Option(f"--{name}", name, {"type": Path, "required": required, "metavar": "PATH", "help": text})


def out(text: str) -> Option:
    """Return --out for a step that writes a folder, or files into one."""
    return replace(path("out", text), check=check_folder)


def out_file(text: str) -> Option:
    """Return --out for a step that writes a file."""
    return replace(path("out", text), check=check_file)


def _in_group(flag: str, to: str, text: str, **keywords: Any) -> Option:
    """Return an option for one field of a group, with the field's default."""
    group, _, field = to.partition(".")
    return Option(flag, to, {"default": getattr(GROUPS[group], field), "help": text, **keywords})


def _whole(least: int, most: float = math.inf) -> Callable[[str], int]:
    def whole(text: str) -> int:
        with suppress(ValueError):
            if least <= (number := int(text)) <= most:
                return number
        limits = f"{least} or more" if most == math.inf else f"from {least} to {most}"
        raise argparse.ArgumentTypeError(f'"{text}" is wrong: it must be a whole number, {limits}')

    return whole


def _minutes(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (number := float(text)) < float("inf"):
            return number
    raise argparse.ArgumentTypeError(f'"{text}" is wrong: it must be a number of minutes, 0 or more')


def _leave_by(text: str) -> float:
    """Return when to leave, on time.monotonic()'s clock, so that the job ends before its minutes are up."""
    seconds = 60 * _minutes(text)
    around = min(60.0, seconds / 10)  # what the job needs before this program starts and after it ends
    return time.monotonic() + seconds - around


ORIGINALS = path(
    "originals", "file written by download; not needed for source: folder or source: arrays", required=False
)
DATA = path("data", "folder of packed arrays and labels written by prepare and label")
WEIGHTS = path("weights", "file written by download_weights, for published weights", required=False)
WEIGHTS_SHA256 = Option(
    "--weights-sha256",
    "weights_sha256",
    {
        "metavar": "DIGEST",
        "help": "SHA-256 that your own file of weights must have, as it had when the run was planned",
    },
)
ENCODER = path("encoder", "encoder.safetensors written by select")
ANY_ENCODER = path("encoder", "encoder.safetensors, or a classifier's model.safetensors for its features")
NEW_IMAGES = path("images", "folder of images, searched recursively, or a CSV file with a path column, and boxes")
TRUST = Option(
    "--trust",
    "trust",
    {
        "metavar": "MODULE",
        "help": "module of your own encoder, to run even though its code has changed since training",
    },
)
CONFIG = Option(
    "--config", "config", {"default": "", "metavar": "NAME", "help": "config that defines the runs, named on the page"}
)
FEATURES = path("features", "folder written by gather for an encoder")
SHOWN_FEATURES = Option(
    "--features",
    "features",
    {
        "type": Path,
        "nargs": "+",
        "required": True,
        "metavar": "PATH",
        "help": "folder written by gather for an encoder, or by tabulate for unlabeled images; or several",
    },
)
STARTS = (
    WEIGHTS,
    WEIGHTS_SHA256,
    path(
        "parent",
        "folder written by the pretraining to continue, which `parent` in the settings describes",
        required=False,
    ),
)
LOGGER = Option(
    "--logger",
    "logger",
    {
        "metavar": "MODULE:FUNCTION",
        "help": "your own function, called with name and version, that returns a logger of Lightning for the curves",
    },
)
WORK = path("work", "folder for what an interrupted training needs to resume")
SPLIT = Option("--split", "split", {"required": True, "choices": PACKED_SPLITS, "help": "split of the data"})
ANY_SPLIT = Option(
    "--split",
    "split",
    {
        "required": True,
        "choices": SPLITS,
        "help": "split of the data; unlabeled are the images of train without a label",
    },
)
JUDGED_BY = Option(
    "--judged-by",
    "judged_by",
    {
        "choices": get_args(JudgedBy),
        "default": "test",
        "help": "split that results are judged by; validation, the hold-out, leaves test unread (default: %(default)s)",
    },
)
FOUND = Option(
    "--n", "n", {"type": _whole(1), "default": 20, "metavar": "N", "help": "images to find (default: %(default)s)"}
)
SEED = Option("--seed", "seed", {"required": True, "type": _whole(0, LARGEST_SEED), "help": "the run's seed"})

GPUS = _in_group(
    "--gpus", "hardware.gpus", "number of GPUs to use (default: one, if available)", type=_whole(0), metavar="N"
)
PROCESSES = _in_group(
    "--processes",
    "hardware.processes",
    "number of processes if no GPU is used (default: %(default)s)",
    type=_whole(1),
    metavar="N",
)
READERS = _in_group(
    "--workers",
    "hardware.workers",
    "processes that read images ahead (default: 4 if the GPU cannot hold all images, otherwise 0)",
    type=_whole(0),
    metavar="N",
)
DECODERS = _in_group(
    "--workers",
    "hardware.workers",
    "processes that decode images (default: one per core)",
    type=_whole(1),
    metavar="N",
)
PACKERS = Option(
    "--workers",
    "workers",
    {
        "type": _whole(1),
        "default": 1,
        "metavar": "N",
        "help": "processes that decode images (default: %(default)s)",
    },
)
NODES = _in_group(
    "--nodes",
    "hardware.nodes",
    "machines that share the GPUs or processes; start this command on each, as srun does (default: %(default)s)",
    type=_whole(1),
    metavar="N",
)
COMPILATION = _in_group(
    "--compile",
    "hardware.compile",
    f"compile the training step; auto does so on a GPU from {STEPS_TO_PAY:,} steps on, unless that fails",
    choices=COMPILE,
)
SAVING = (
    _in_group(
        "--save-minutes",
        "saving.every_minutes",
        "save the training every MINUTES minutes (default: %(default)g)",
        type=_minutes,
        metavar="MINUTES",
    ),
    _in_group(
        "--save-epochs",
        "saving.every_epochs",
        "also save it every EPOCHS epochs",
        type=_whole(1),
        metavar="EPOCHS",
    ),
    _in_group(
        "--time-budget",
        "saving.leave_by",
        "save and exit with status 75 before this time runs out, so that a scheduler can restart the training",
        type=_leave_by,
        metavar="MINUTES",
    ),
)
