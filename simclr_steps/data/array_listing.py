"""What NumPy's files, an .npz file or a folder of .npy files, tell of their images: classes, splits and groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simclr_steps.data.groups import Groups
from simclr_steps.data.image_tables import MISSING
from simclr_steps.data.listing import Listing
from simclr_steps.data.splits import Labels
from simclr_steps.data.stored_arrays import StoredArray, open_arrays
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import NO_LABEL, SPLITS, did_you_mean
from simclr_steps.settings.datasets import ArraysDataset
from simclr_steps.settings.image_format import ANY_TYPE, TYPES, Dtype

NAMES = (
    *(f"{split}_{part}" for split in SPLITS[:3] for part in ("images", "labels", "groups")),
    *("unlabeled_images", "unlabeled_groups"),
)
_LEAST_SIDE = 4  # pixels
AMERICAN, BRITISH = "unlabeled_images", "unlabelled_images"  # both are read


@dataclass(frozen=True, kw_only=True)
class ArrayListing(Listing):
    """The images of arrays, one array for each split; `shape` is height, width and channels of every image."""

    images: Mapping[str, StoredArray]
    shape: tuple[int, int, int]
    dtype: Dtype


def list_arrays(dataset: ArraysDataset) -> ArrayListing:
    """Return what arrays tell of their images, of which only the shape and the type are read.

    Raises
    ------
    UserError
        When the name, dtype, shape, length or labels of an array are wrong, naming the array.
    """
    stored = open_arrays(Path(dataset.path))
    if BRITISH in stored:
        if AMERICAN in stored:
            raise UserError(f"path: {dataset.path} contains {AMERICAN} and {BRITISH}, which mean the same: keep one")
        stored[AMERICAN] = stored.pop(BRITISH)
    for name in stored:
        if name not in NAMES:
            raise UserError(f'path: {dataset.path} contains an array "{name}"; {did_you_mean(name, NAMES)}')
    if "train_images" not in stored:
        raise UserError(
            f"path: {dataset.path} contains no array train_images: give that name to the images to train on"
        )
    images = {split: stored[f"{split}_images"] for split in SPLITS if f"{split}_images" in stored}
    for name in stored:
        split, _, part = name.partition("_")
        if f"{split}_images" not in stored:
            what = "label" if part == "labels" else "group"
            raise UserError(f"{name} has no images to {what}: add {split}_images or remove it")
    shape = _common_shape(list(images.values()), dataset)
    labels = {split: _labels(stored.get(f"{split}_labels"), array, dataset.classes) for split, array in images.items()}
    groups = _groups(stored, images)
    every_label = np.concatenate(list(labels.values()))
    classes = _class_names(dataset, every_label)

    return ArrayListing(
        classes=classes,
        splits=np.repeat(list(images), [len(part) for part in labels.values()]),
        labels=every_label,
        names=[f"{split}/{row}" for split, part in labels.items() for row in range(len(part))],
        groups=groups,
        images=images,
        shape=shape,
        dtype=_type_of(stored["train_images"]),
    )


def _groups(stored: dict[str, StoredArray], images: dict[str, StoredArray]) -> Groups | None:
    """Return the name of each image's group, [N], over all splits in the order of their images, if there are any.

    Raises
    ------
    UserError
        When only some images have a group, or what names the groups is neither text nor whole numbers.
    """
    given = {split: stored[f"{split}_groups"] for split in images if f"{split}_groups" in stored}
    for split, array in given.items():
        if array.dtype.kind not in "iuU":
            raise UserError(f"{array.name} is {array.dtype} but must be text or whole numbers: convert it")
        if array.shape != images[split].shape[:1]:
            count = images[split].shape[0]
            raise UserError(f"{array.name} has shape {array.shape}, but {split}_images has {count} images: fix one")
    if given and (without := [split for split in images if split not in given]):
        raise UserError(f"{without[0]}_groups is missing, and {next(iter(given))}_groups is there: add it")
    names = {array.name: array.load().astype(np.str_) for array in given.values()}
    for array_name, of_split in names.items():
        if (missing := np.isin(of_split, ["", *MISSING])).any():
            row = int(missing.argmax())
            raise UserError(f"{array_name} names no group in row {row}: give the image a group, if need be of its own")
    return np.concatenate(list(names.values())) if given else None


def _class_names(dataset: ArraysDataset, labels: Labels) -> list[str]:
    """Return the names of the classes, the numbers from 0 on unless others are given; none if no image has a label.

    Raises
    ------
    UserError
        When the labels are some other numbers, such as ids, of which those between would become classes, too.
    """
    present = np.unique(labels[labels != NO_LABEL])
    if not len(present):
        return []
    if dataset.classes is not None:
        return dataset.classes
    if present[0] > 0 or present[-1] >= 2 * len(present):
        raise UserError(
            f"path: {dataset.path} has labels of {len(present)} classes, numbered from {present[0]:,} to "
            f"{present[-1]:,}: number them from 0 to {len(present) - 1}, or name all of them under `classes`"
        )
    return [str(label) for label in range(present[-1] + 1)]


def _common_shape(images: Sequence[StoredArray], dataset: ArraysDataset) -> tuple[int, int, int]:
    """Return the height, width and channels that all arrays of images have.

    Raises
    ------
    UserError
        When an array's dtype or shape is not that of images, or not that of the first.
    """
    for array in images:
        if _type_of(array) not in TYPES:
            raise UserError(f"{array.name} is {array.dtype} but must be {ANY_TYPE}: convert it to one of them")
        if len(array.shape) not in (3, 4) or 0 in array.shape[1:]:
            advice = "store images that have pixels" if 0 in array.shape else "reshape it"
            raise UserError(f"{array.name} has shape {array.shape} but must be N × H × W, or N × H × W × C: {advice}")
        _check_order(array, dataset)
    first = images[0]
    for array in images:
        if _type_of(array) != _type_of(first):
            raise UserError(
                f"{array.name} is {array.dtype} and {first.name} {first.dtype}: convert one, as they share one range"
            )
        if _image_shape(array, dataset) != _image_shape(first, dataset):
            raise UserError(
                f"{array.name} has images of {_image_shape(array, dataset)} and {first.name} of "
                f"{_image_shape(first, dataset)} (height, width, channels): make them equal"
            )
    return _image_shape(first, dataset)


def _check_order(array: StoredArray, dataset: ArraysDataset) -> None:
    """Raise UserError when an array's axes are likely in another order than `layout` says."""
    height, width, channels = _image_shape(array, dataset)
    looks_turned = height < channels == width or width < height == channels
    is_too_small = min(height, width) < _LEAST_SIDE
    if is_too_small or (looks_turned and dataset.channels is None):
        other = "NCHW" if dataset.layout == "NHWC" else "NHWC"
        advice = (
            f"or use images of {_LEAST_SIDE} pixels or more" if is_too_small else f"or state `channels: {channels}`"
        )
        raise UserError(
            f"{array.name} has shape {array.shape}, which `layout: {dataset.layout}` takes for {channels} channels of "
            f"{height} × {width} pixels: write `layout: {other}`, move its axes, {advice}"
        )


def _type_of(array: StoredArray) -> Dtype:
    """Return the type of an array's values, in whatever order their bytes are."""
    return array.dtype.newbyteorder("=").name  # type: ignore[return-value]


def _image_shape(array: StoredArray, dataset: ArraysDataset) -> tuple[int, int, int]:
    shape = array.shape
    if dataset.layout == "NCHW" and len(shape) == 4:
        shape = (shape[0], *shape[2:], shape[1])
    height, width, channels = (*shape[1:], 1)[:3]
    return height, width, channels


def _labels(stored: StoredArray | None, images: StoredArray, classes: list[str] | None) -> Labels:
    """Return the labels of one split's images, int64 [N], -1 for all of them if none are stored.

    Raises
    ------
    UserError
        When they do not fit the images or the classes.
    """
    count = images.shape[0]
    if stored is None:
        return np.full(count, NO_LABEL, dtype=np.int64)
    if not np.issubdtype(stored.dtype, np.integer):
        raise UserError(f"{stored.name} is {stored.dtype} but must be whole numbers: convert it to int64")
    if stored.shape != (count,):
        raise UserError(f"{stored.name} has shape {stored.shape}, but {images.name} has {count} images: fix one")
    given = stored.load()
    if (largest := int(given.max(initial=0))) > np.iinfo(np.int64).max:
        raise UserError(
            f"{stored.name} has the label {largest:,}, which is no class: count from 0, and use -1 of int64 for images "
            "without a label"
        )
    labels = given.astype(np.int64)
    if labels.min(initial=NO_LABEL) < NO_LABEL:
        raise UserError(
            f"{stored.name} has the label {labels.min()}: count from 0, and use -1 for images without a label"
        )
    if classes is not None and labels.max(initial=NO_LABEL) >= len(classes):
        counts_from_1 = labels.max() == len(classes) and 0 not in labels
        advice = "count from 0" if counts_from_1 else "add more, or number the labels from 0"
        raise UserError(
            f"{stored.name} has the label {labels.max():,}, but classes has only {len(classes)} names: {advice}"
        )
    return labels
