"""The blocks of a config that fit images after a first look at them, as lines of YAML that say why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from simclr_steps.data.first_look import FirstLook
from simclr_steps.data.likely_groups import likely_pattern
from simclr_steps.data.splits import SplitNames, assigned_splits
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import DatasetBlock
from simclr_steps.settings.sizes import Size
from simclr_steps.settings.written import block, line, listed

_LEAST_SIDE = 4  # pixels that image_size takes
_NARROW = 1.25  # how much longer than the other a side is where images are not treated as squares
_LONGEST_SHAPE = 3  # times the other side
_LIKE_MEDIAN, _MOST = 1.15, 0.8  # a shape that most images have is kept
_WORTH_A_LINE = 0.05  # share of the pixels that falls off
_FEW_IMAGES = 500  # to train on, of which a larger hold-out is taken
_FEWEST = 2  # images to train on, or held out
_SHARE_OF_LABELS, _FEW_LABELS = 0.3, 5  # of each class


def fitting_size(sizes: Sequence[Size], side: int) -> Size:
    """Return height and width for images of these sizes that have about as many pixels as a square of this side.

    Images that are all alike and no larger stay as they are. A shape that most images have is kept, otherwise they
    become squares; none of this makes most of them larger.
    """
    if len(set(sizes)) == 1 and _LEAST_SIDE <= min(sizes[0]) <= side and max(sizes[0]) <= _LONGEST_SHAPE * side:
        return sizes[0]
    heights, widths = np.array(sizes, dtype=float).T
    shapes = np.log(widths / heights)
    usual = float(np.median(shapes))
    is_usual = abs(shapes - usual) <= math.log(_LIKE_MEDIAN)
    if is_usual.mean() < _MOST or abs(usual) < math.log(_NARROW):
        square = max(_LEAST_SIDE, int(min(side, np.median(np.minimum(heights, widths)))))
        return square, square
    shape = math.exp(min(max(usual, -math.log(_LONGEST_SHAPE)), math.log(_LONGEST_SHAPE)))
    height = min(side / math.sqrt(shape), float(np.median(heights)))
    rounded = [max(_LEAST_SIDE, 4 * round(length / 4)) for length in (height, height * shape)]
    return rounded[0], rounded[1]


def fitting_splits(look: FirstLook) -> tuple[SplitNames, dict[str, float]]:
    """Return the split of each image, and the keys that say how splits are drawn where the defaults do not fit.

    Raises
    ------
    UserError
        When too few images are left to train on.
    """
    listing, default = look.listing, DatasetBlock().validation_fraction
    problem = f"there are too few images to train on and to judge by, {len(listing.names)} in all: add some"
    has_hold_out = "validation" in listing.splits
    is_small = np.count_nonzero(np.isin(listing.splits, ["train", "unlabeled"])) < _FEW_IMAGES
    groups = np.array(listing.names) if "tiles" in look.keys and listing.groups is None else listing.groups
    for fraction in (0.2 if is_small and not has_hold_out else default, 0.0):
        try:
            asked = DatasetBlock(validation_fraction=fraction)
            splits = assigned_splits(asked, listing.splits, listing.labels, groups)
        except UserError as error:
            problem = str(error) if listing.groups is not None else problem
            continue
        held_out = np.count_nonzero(splits == "validation")
        if np.count_nonzero(splits == "train") >= _FEWEST and (not fraction or has_hold_out or held_out >= _FEWEST):
            return splits, {} if has_hold_out or fraction == default else {"validation_fraction": fraction}
    raise UserError(problem)


def dataset_block(look: FirstLook, path: str, size: Size, fractions: Mapping[str, float]) -> Iterator[str]:
    """Yield the lines of the data set's block; `fractions` are keys of the splits."""
    keys = look.keys
    is_folder = keys["source"] == "folder"
    yield line("source", keys["source"])
    yield line("path", path, "" if Path(path).is_absolute() else "from the folder where the workflow is started")
    if "layout" in keys:
        yield line("layout", keys["layout"], "number, channels, height, width")
    if "tiles" in keys:
        yield line("tiles", keys["tiles"], "pixels; each tile becomes an image, as whole ones are too large to use")
    if is_folder:
        yield line("image_size", _shape(size), _of_size(look, size))
        if (lost := _share_cropped(look.sizes, size)) >= _WORTH_A_LINE and "tiles" not in keys:
            yield f"# {line('fit', 'pad', f'keeps the {100 * lost:.0f} % of the pixels that are cropped otherwise')}"
    if "channels" in keys:
        yield line("channels", keys["channels"], _of_channels(look, keys["channels"]))
    if "planes" in keys:
        yield line("planes", keys["planes"], "of focal planes or points in time; or mean, or the number of one, from 0")
    if look.dtype != "uint8":
        yield line("bits", 16, "of a packed value; 8 takes half the disk space and keeps 256 levels")
        yield f"# {line('value_range', 'auto', 'percentiles 0.1 and 99.9 of the images to train on; or [low, high]')}"
    if is_folder:
        yield line("unreadable", "skip", "such images, and list them in the log; stop names the first")
        is_split = bool({"validation", "test"} & set(look.listing.splits.tolist()))
        if (
            look.listing.groups is None
            and not is_split
            and (found := likely_pattern(look.listing.names, look.listing.labels))
        ):
            pattern, groups = found
            text = f"paths suggest {len(groups):,} groups ({listed(groups, 3)}): keeps each in one split"
            yield f"# {line('group_pattern', pattern, text)}"
    for key, value in fractions.items():
        yield line(key, value, "of the images to train on, to choose the checkpoint by")


def _shape(size: Size) -> int | list[int]:
    return size[0] if size[0] == size[1] else list(size)


def _of_size(look: FirstLook, size: Size) -> str:
    if "tiles" not in look.keys and set(look.sizes) == {size}:
        return "pixels, as they are"
    return "pixels that images are resized to, once: larger shows more and takes longer"


def _share_cropped(sizes: Sequence[Size], size: Size) -> float:
    """Return which share of the pixels falls off when images are cropped to the shape of a size."""
    shape = size[1] / size[0]
    return 1 - float(np.mean([min(width / height / shape, height / width * shape) for height, width in sizes]))


def _of_channels(look: FirstLook, channels: int | list[str]) -> str:
    if isinstance(channels, list):
        return "their names, in the order of the files"
    if channels == 1:
        return "gray; 3 for color"
    return "color; 1 for gray" if look.is_color else "as an instrument measures them; or their names, as [DNA, RNA, …]"


def pretrain_block(look: FirstLook, size: Size, stem: str) -> Iterator[str]:
    """Yield the lines of a block of `pretrains`; `stem` is "" where `auto` fits."""
    yield line("encoder", "resnet18", "or resnet50, timm:NAME, …")
    if stem:
        yield line("stem", stem, "without a GPU far quicker than the small stem")
    if look.keys["source"] == "arrays" and size != look.sizes[0]:
        yield line("view_size", _shape(size), "pixels of a view: larger shows more and takes longer")
    yield line("temperature", 0.2)
    yield line("warmup_epochs", 10)
    yield "# epochs: auto # as many as the images need; a number, such as 20, for a quick try"
    yield "augmentation: # docs/augmentation.md shows all"
    if not look.is_color and (look.channels > 1 or look.dtype != "uint8"):
        yield "  preset: microscopy # objects in any orientation; color for those that stand upright"
    elif not look.is_color:
        yield "  preset: color # digits for characters, microscopy for objects in any orientation"
    elif max(size) < max(look.sizes[0]):
        yield "  crop_scale: [0.2, 1.0]"
        yield "  grayscale_probability: 0.2 # less if colors tell the classes apart"
        yield "  blur_probability: 0.5"
    else:
        yield "  preset: color # mirrors images left to right; microscopy for objects in any orientation"


def finetune_blocks(labels: npt.NDArray[np.int64]) -> list[str]:
    """Return blocks of a share of the labels, or of all where the share is of few."""
    share = 0.3 if _SHARE_OF_LABELS * len(labels) >= _FEW_LABELS * len(np.unique(labels)) else 1.0
    return [
        *block("pretrained", [line("labels", share, "share of the training labels to use")]),
        *block("scratch", [line("labels", share), line("init", "random", "to compare with")]),
    ]
