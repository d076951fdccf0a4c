"""The block `datasets`: where images come from and how they are split."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from simclr_steps.settings.base import Address, LocalPath, Seed, Settings
from simclr_steps.settings.display import Display
from simclr_steps.settings.image_format import Fit, Planes
from simclr_steps.settings.sizes import Size, ViewSize, as_size
from simclr_steps.settings.tiles import Tiles
from simclr_steps.settings.value_ranges import ValueRange


def _check_channels(value: Any) -> Any:
    """Check a number of channels, or their names."""
    if isinstance(value, list) and value and all(isinstance(name, str) and name.strip() for name in value):
        if repeated := [name for name, count in Counter(value).items() if count > 1]:
            raise ValueError(f'must not repeat a name, but "{repeated[0]}" appears more than once')
    elif value is not None and (type(value) is not int or value < 1):
        raise ValueError("must be a number of channels, or a list of their names, as in [DNA, RNA]")
    return value


Channels = Annotated[int | list[str], BeforeValidator(_check_channels)]


def count_and_names(channels: int | list[str]) -> tuple[int, list[str] | None]:
    """Return how many channels there are, and the names that they have, if any."""
    return (channels, None) if isinstance(channels, int) else (len(channels), channels)


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
    display: Display | None = Field(
        None,
        description="How pictures show the images: a list of up to three channels, shown in gray, in red and green, or "
        "in red, green and blue; or channels with their colors, such as `{DNA: blue, ER: green}`. Channels are given "
        "by name or by number, from 0. Contrast is the same in all images. Null shows gray and color images as they "
        "are, and of others the first three channels, or two. Changing it draws pictures again, and no more.",
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


class OwnImages(DatasetBlock):
    """The user's own images, of 8 bits or more."""

    value_range: ValueRange = Field(
        "auto",
        description="Which values of the images are packed as 0 and as the largest value; what is below or above is "
        "clipped to them. `[low, high]`, `{percentiles: [0.1, 99.9]}` of the pixels to train on, `auto`, or a list of "
        "these with one for each channel. `auto` is 0 to 255 for images of 8 bits, and those percentiles for each "
        "channel of all others. It is one range for all images, so that dim ones stay dim; while it is "
        "searched for, `prepare` needs 4 bytes of disk space for each value.",
    )
    bits: Literal[8, 16] = Field(
        8, description="Bits of a packed value. 16 doubles the disk space and keeps small differences of values."
    )

    @model_validator(mode="after")
    def _check_range_of_each_channel(self) -> Self:
        channels: int | list[str] | None = getattr(self, "channels", None)
        count = None if channels is None else count_and_names(channels)[0]
        if isinstance(self.value_range, list) and count not in (None, len(self.value_range)):
            raise ValueError(
                f"has {len(self.value_range)} ranges in value_range for {count} channels: give one for each"
            )
        return self


class FolderDataset(OwnImages):
    """Images of any size, mode and depth in a folder or listed in a CSV file."""

    source: Literal["folder"] = Field(description="`folder`")
    path: LocalPath = Field(
        description="A folder with one subfolder per class, optionally grouped under train/val/test/unlabeled; or a "
        "CSV file with the columns path, label, split and group, whose paths are relative to the file. Images without "
        "a label are used only for pretraining, unless no image has one. Images of one group, such as a patient or a "
        "slide, are always in one split. With the columns x, y, width and height, each line is a part of an image: its "
        "upper left corner, from 0, and its size, in pixels."
    )
    group_pattern: str | None = Field(
        None,
        description="Regular expression with one group, searched for in the path of each image below the data set's "
        "folder: what it captures names the image's group, as the group column of a CSV file does. `'slide(\\d+)_'`, "
        "for example.",
    )
    tiles: Tiles | None = Field(
        None,
        description="Cuts large images into tiles, each of which becomes an image. A TIFF file is read part by part, "
        "whatever its size. Tiles of one image are a group unless the data name groups.",
    )
    image_size: ViewSize | None = Field(
        None,
        validate_default=True,
        description="Side of a square in pixels, or `[height, width]`; images are resized to it once, see `fit`. Only "
        "with `tiles` it may be omitted, and is then their size.",
    )
    fit: Fit = Field(
        "crop",
        description="How an image of another shape fills `image_size`: `crop` keeps the largest part in its middle "
        "that has this shape, and the log says which share of the pixels falls off; `pad` keeps all of it and adds "
        "margins that are packed as 0.",
    )
    channels: Channels = Field(
        3,
        description="1 for grayscale, 3 for color, or any other number, or the channels' names, as in "
        "`[DNA, RNA, Mito]`: named channels are never taken for colors. Several channels are the pages of a TIFF file, "
        "an axis of a `.npy` file, or a file for each: the columns `path.DNA`, `path.RNA`, … of a CSV file.",
    )
    channel_axis: int | None = Field(
        None,
        ge=0,
        description="Which axis of a TIFF or `.npy` file holds the channels, from 0, where the file does not say it. "
        "Null takes the only axis that is as long as there are channels.",
    )
    planes: Planes | None = Field(
        None,
        description="What becomes of focal planes and points in time, which are refused otherwise: `max` or `mean` of "
        "them, or the number of the one to take, from 0.",
    )
    unreadable: Literal["stop", "skip"] = Field(
        "stop", description="On an unreadable image, stop the run, or skip the image and report it."
    )

    @property
    def packed_size(self) -> Size:
        """Height and width of a packed image."""
        size: Size = as_size(self.image_size or (self.tiles and self.tiles.size))
        return size

    @field_validator("image_size")
    @classmethod
    def _check_image_size(cls, value: ViewSize | None, info: ValidationInfo) -> ViewSize | None:
        if value is None and info.data.get("tiles", True) is None:  # they are absent where they are wrong
            raise PydanticCustomError("missing", "Field required")
        return value

    @field_validator("group_pattern")
    @classmethod
    def _check_group_pattern(cls, value: str | None) -> str | None:
        try:
            groups = 1 if value is None else re.compile(value).groups
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"must be a valid regular expression, but {value} is not: {error}") from error
        if groups != 1:
            raise ValueError(f"must have one group in parentheses, but {value} has {groups}")
        return value


class ArraysDataset(OwnImages):
    """NumPy arrays of uint8, uint16 or float32 images, N × H × W or N × H × W × C, and their integer labels."""

    source: Literal["arrays"] = Field(description="`arrays`")
    path: LocalPath = Field(
        description="An .npz file or a folder of .npy files with train_images and, optionally, "
        "train_labels, validation_images, validation_labels, test_images, test_labels, unlabeled_images; and "
        "train_groups and so on, text or whole numbers that name the group of each image."
    )
    classes: list[str] | None = Field(None, description="Names of the classes 0, 1, …; null uses the numbers.")
    layout: Literal["NHWC", "NCHW"] = Field(
        "NHWC", description="Order of the images' axes: number, height, width, channels; or channels before height."
    )
    channels: Channels | None = Field(
        None, description="Number of channels, or their names, as in `[DNA, RNA]`; null takes what the arrays have."
    )

    @field_validator("classes")
    @classmethod
    def _check_classes(cls, value: list[str] | None) -> list[str] | None:
        repeated = [name for name, count in Counter(value or []).items() if count > 1]
        if repeated:
            raise ValueError(f'must not repeat a name, but "{repeated[0]}" appears more than once')
        return value


Dataset = Annotated[DigitsDataset | TorchvisionDataset | FolderDataset | ArraysDataset, Field(discriminator="source")]
