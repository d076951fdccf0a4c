"""Look at images and print a config that fits them, which runs without an edit."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from simclr_steps.data.array_listing import NAMES
from simclr_steps.data.file_kinds import ARRAY, ARRAYS, NO_FILE, kind_of
from simclr_steps.data.first_look import TILE, FirstLook, look_at_arrays, look_at_files
from simclr_steps.data.image_files import is_image
from simclr_steps.data.seen_images import seen
from simclr_steps.files import write_text
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.gpus import machine_shows_gpu
from simclr_steps.methods.estimates import estimates
from simclr_steps.methods.fitting_blocks import (
    dataset_block,
    finetune_blocks,
    fitting_size,
    fitting_splits,
    pretrain_block,
)
from simclr_steps.networks.architecture import default_stem
from simclr_steps.settings import strict_yaml
from simclr_steps.settings.base import NO_LABEL, DatasetName
from simclr_steps.settings.config import read_config
from simclr_steps.settings.own_files import check_own_files
from simclr_steps.settings.plan import plan
from simclr_steps.settings.reading import check
from simclr_steps.settings.written import block, blocks, comments, line, named

_SIDE_WITH_GPU, _SIDE_WITHOUT = 128, 64  # pixels that larger images are resized to
_SLOW_STEM = 32  # pixels beyond which the small stem is too slow without a GPU
_FEWEST_HELD_OUT = 2  # images by which a checkpoint is chosen
_FEW_POINTS = 50  # of a UMAP plot
_LONGEST_NAME = 60  # characters
_MISREAD = re.compile(r"~.*|[+-]?\d+(\.\d*)?[eE][+-]?\d+", re.DOTALL)  # a home, and what YAML 1.2 takes for a number


def init(images: Path, file: Path | None = None) -> None:
    """Print a config for a folder of images, a CSV file that lists them, or NumPy's arrays.

    Parameters
    ----------
    file
        Write the config into this new file instead.

    Raises
    ------
    UserError
        When there are no images, none of those that were opened is readable, or they are too few to train on; and when
        `file` exists, which may have been edited.
    """
    if file and os.path.lexists(file):
        raise UserError(f"--out: {file} exists and is not replaced: remove it first, or give another name")
    try:
        str(images).encode()
    except UnicodeEncodeError:
        raise UserError("the path is not valid UTF-8, which a config must be: rename the folder or file") from None
    if _MISREAD.fullmatch(str(images)):
        images = images.absolute()
    try:
        text = _config(images, _look(images), file)
    except UserError as error:
        raise UserError(str(error).removeprefix("path: ")) from error
    if file:
        write_text(file, text)
        print(f"wrote {file}, whose comments say what was seen: simclr run {shlex.quote(str(file))}")
        return
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def _look(path: Path) -> FirstLook:
    if not path.exists():
        raise UserError(f"{path} does not exist: give a folder of images, a CSV file that lists them, or arrays")
    if path.is_dir():
        holds_arrays = any((path / f"{name}.npy").exists() for name in NAMES)
        return look_at_arrays(path) if holds_arrays else look_at_files(path)
    kind = kind_of(path)
    if kind == ARRAYS:
        return look_at_arrays(path)
    if kind == NO_FILE:
        raise UserError(f"{path} is {kind}: give a folder of images, a CSV file that lists them, or arrays")
    if kind == ARRAY:
        raise UserError(f"{path} is {kind}: put it as train_images.npy into a folder of its own, and give that folder")
    if is_image(path.name):
        raise UserError(f"{path} is one image, and SimCLR needs many: give the folder that holds them")
    return look_at_files(path)


def _config(path: Path, look: FirstLook, file: Path | None) -> str:
    """Return the text of a config for a file, after it was read as the workflow reads it."""
    saving, saved = ("Edit", named(str(file))) if file else ("Save this as my.yaml, edit", "my.yaml")
    has_gpu = machine_shows_gpu()
    name = _name_of(path)
    side = _SIDE_WITH_GPU if has_gpu else _SIDE_WITHOUT
    size = fitting_size([(TILE, TILE)] if "tiles" in look.keys else look.sizes, side)
    splits, fractions = fitting_splits(look)
    counts = Counter(splits.tolist())
    labels = look.listing.labels[(splits == "train") & (look.listing.labels != NO_LABEL)]
    stem = default_stem(size)
    needs_large_stem = not has_gpu and stem == "small" and min(size) > _SLOW_STEM
    stem = "imagenet" if needs_large_stem else stem
    dataset = dataset_block(look, str(path), size, fractions)
    pretrain = pretrain_block(look, size, stem if needs_large_stem else "")
    experiment = [f"- {line('dataset', name)}", "  pretrain: simclr"]
    content: dict[str, list[str]] = {
        "datasets": block(name, dataset),
        "pretrains": block("simclr", pretrain),
    }
    if len(np.unique(labels)) > 1:
        content["finetunes"] = finetune_blocks(labels)
        experiment.append("  finetunes: [pretrained, scratch]")
    if counts["validation"] < _FEWEST_HELD_OUT:
        content["selection"] = [line("criterion", "last", "as too few images are held out to choose by")]
    if counts["test"] < min(_FEW_POINTS, counts["train"]):
        content["umap"] = [line("split", "train", f"as the test split has few images to draw, {counts['test']}")]
    content["experiments"] = [*experiment, f"  {line('seeds', [0], 'such as [0, 1, 2]: each is trained by itself')}"]
    header = [
        f"SimCLR for {named(str(path))}. {saving} what you like, and run it: simclr run {saved}",
        "",
        *seen(look, splits),
        "",
        *estimates(look, size, stem, counts["train"], has_gpu=has_gpu),
    ]
    text = "\n".join([*comments(header), *blocks(content), ""])
    check_own_files(plan(read_config(strict_yaml.load(text))), str)
    return text


def _name_of(path: Path) -> str:
    """Return a name for the data set that is as near to that of its folder or file as names may be."""
    own = path.resolve().name if path.is_dir() else path.stem
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", own).strip("-._")[:_LONGEST_NAME].rstrip("-._")
    try:
        check(dict[DatasetName, int], {name: 0})
    except UserError:
        return "images"
    return f"images-{name}" if _MISREAD.fullmatch(name) else name
