"""The block `datasets`: where images come from and how they are split."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field, field_validator

from simclr_steps.settings.base import Address, LocalPath, Settings


class DatasetBlock(Settings):
    """What all data sets have in common."""

    validation_fraction: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of the images to train on, labeled and unlabeled, held out to choose checkpoints, "
        "stratified by label. 0 trains on all images, and `selection.criterion` must then be `last`. Unused where the "
        "data bring a validation split.",
    )
    test_fraction: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Share of the labeled training images, or of all where none has a label, set apart as the test "
        "split, stratified by label, where the data have none.",
    )
    split_seed: int = Field(0, ge=0, description="Seed of the two splits above and of `subset`.")
    subset: int | None = Field(
        None, gt=0, description="Use at most so many images of each split, drawn by `split_seed`: for a quick try."
    )


class DigitsDataset(DatasetBlock):
    """The 1,797 handwritten digits of 8 × 8 pixels that scikit-learn ships: real images without a download."""

    source: Literal["digits"] = Field(description="`digits`")


class TorchvisionDataset(DatasetBlock):
    """A labeled image set of torchvision.datasets."""

    source: Literal["torchvision"] = Field(description="`torchvision`")
    name: Literal["CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "KMNIST", "SVHN", "STL10"] = Field(
        description="Name of the class in torchvision.datasets."
    )
    path: LocalPath | None = Field(
        None, description="Folder that holds the original files already; they are verified and used as they are."
    )
    mirrors: list[Address] = Field(
        [], description="Base addresses (https, http, file) tried in order after the official one."
    )


class FolderDataset(DatasetBlock):
    """Images of any size and mode in a folder, or listed by a CSV file."""

    source: Literal["folder"] = Field(description="`folder`")
    path: LocalPath = Field(
        description="A folder of class sub-folders, below train/val/test/unlabeled if there are such; or a CSV file "
        "with the columns path, label, split, its paths relative to itself. Images without a label are used for "
        "pretraining only, unless no image has one."
    )
    image_size: int = Field(ge=4, description="Side in pixels to which images are resized and center-cropped, once.")
    channels: Literal[1, 3] = Field(3, description="1 packs gray images, 3 color.")
    unreadable: Literal["stop", "skip"] = Field(
        "stop", description="What an unreadable image does: stop the run, or be left out and counted."
    )


class ArraysDataset(DatasetBlock):
    """NumPy arrays of uint8 images, N × H × W or N × H × W × C, and their integer labels."""

    source: Literal["arrays"] = Field(description="`arrays`")
    path: LocalPath = Field(
        description="An .npz file, or a folder of .npy files, with train_images and, as far as there are any, "
        "train_labels, validation_images, validation_labels, test_images, test_labels, unlabeled_images."
    )
    classes: list[str] | None = Field(None, description="Names of the classes 0, 1, …; null names them by number.")

    @field_validator("classes")
    @classmethod
    def _check_classes(cls, value: list[str] | None) -> list[str] | None:
        repeated = [name for name, count in Counter(value or []).items() if count > 1]
        if repeated:
            raise ValueError(f'must give each class a name of its own, and "{repeated[0]}" is there twice')
        return value


Dataset = Annotated[DigitsDataset | TorchvisionDataset | FolderDataset | ArraysDataset, Field(discriminator="source")]
