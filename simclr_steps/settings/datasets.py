"""The block `datasets`: where images come from and how they are split."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from simclr_steps.settings.base import Address, LocalPath, Seed, Settings


class DatasetBlock(Settings):
    """What all data sets have in common."""

    is_downloaded: ClassVar[bool] = False  # by the step download; otherwise the images are the user's own files

    validation_fraction: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Fraction of the training images, labeled and unlabeled, held out for selecting checkpoints, "
        "stratified by label. 0 trains on all images and requires `selection.criterion: last`. Ignored if the data "
        "have a validation split.",
    )
    test_fraction: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Fraction of the labeled training images, or of all if none is labeled, used as the test split, "
        "stratified by label. Ignored if the data have a test split.",
    )
    split_seed: Seed = Field(
        0,
        description="Seed for the two splits above, for `subset`, and for the draws of few labels.",
    )
    subset: int | None = Field(
        None, gt=0, description="Maximum number of images per split, drawn with `split_seed`; for a quick try."
    )


class DigitsDataset(DatasetBlock):
    """The 1,797 handwritten digits of 8 × 8 pixels that scikit-learn ships: real images without a download."""

    is_downloaded = True  # which writes them from scikit-learn
    source: Literal["digits"] = Field(description="`digits`")


class TorchvisionDataset(DatasetBlock):
    """A labeled image set of torchvision.datasets."""

    is_downloaded = True
    source: Literal["torchvision"] = Field(description="`torchvision`")
    name: Literal["CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "KMNIST", "SVHN", "STL10"] = Field(
        description="Name of the class in torchvision.datasets."
    )
    path: LocalPath | None = Field(
        None, description="Folder that already contains the original files; they are verified and used in place."
    )
    mirrors: list[Address] = Field(
        [], description="Base URLs (https, http, file) to try in order after the official one."
    )


class FolderDataset(DatasetBlock):
    """Images of any size and mode in a folder or listed in a CSV file."""

    source: Literal["folder"] = Field(description="`folder`")
    path: LocalPath = Field(
        description="A folder with one subfolder per class, optionally grouped under train/val/test/unlabeled; or a "
        "CSV file with the columns path, label, split and group, whose paths are relative to the file. Images without "
        "a label are used only for pretraining, unless no image has one. Images of one group, such as a patient or a "
        "slide, are always in one split."
    )
    group_pattern: str | None = Field(
        None,
        description="Regular expression with one group, searched for in the path of each image below the data set's "
        "folder: what it captures names the image's group, as the column group of a CSV file does. `'slide(\\d+)_'`, "
        "for example.",
    )
    image_size: int = Field(ge=4, description="Side in pixels; images are resized and center-cropped to it once.")
    channels: Literal[1, 3] = Field(3, description="1 for grayscale, 3 for color.")
    unreadable: Literal["stop", "skip"] = Field(
        "stop", description="On an unreadable image, stop the run, or skip the image and report it."
    )

    @field_validator("group_pattern")
    @classmethod
    def _check_group_pattern(cls, value: str | None) -> str | None:
        try:
            groups = 1 if value is None else re.compile(value).groups
        except re.error as error:
            raise ValueError(f"must be a regular expression, but {value} is none: {error}") from error
        if groups != 1:
            raise ValueError(f"must have one group in parentheses, but {value} has {groups}")
        return value


class ArraysDataset(DatasetBlock):
    """NumPy arrays of uint8 images, N × H × W or N × H × W × C, and their integer labels."""

    source: Literal["arrays"] = Field(description="`arrays`")
    path: LocalPath = Field(
        description="An .npz file or a folder of .npy files with train_images and, optionally, "
        "train_labels, validation_images, validation_labels, test_images, test_labels, unlabeled_images; and "
        "train_groups and so on, text or whole numbers that name the group of each image."
    )
    classes: list[str] | None = Field(None, description="Names of the classes 0, 1, …; null uses the numbers.")

    @field_validator("classes")
    @classmethod
    def _check_classes(cls, value: list[str] | None) -> list[str] | None:
        repeated = [name for name, count in Counter(value or []).items() if count > 1]
        if repeated:
            raise ValueError(f'must not repeat a name, but "{repeated[0]}" is there more than once')
        return value


Dataset = Annotated[DigitsDataset | TorchvisionDataset | FolderDataset | ArraysDataset, Field(discriminator="source")]
