"""A first look at images that no config describes yet: what they are, seen in a sample of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simclr_steps.data.alike import check_alike
from simclr_steps.data.array_listing import list_arrays
from simclr_steps.data.boxes import Box
from simclr_steps.data.decoding import Decoded, decode, reason_of
from simclr_steps.data.file_look import FileLook, look_at
from simclr_steps.data.folder_listing import find, listing_of, path_of
from simclr_steps.data.image_tables import OF_CHANNEL, read_lines
from simclr_steps.data.listing import Listing
from simclr_steps.data.pieces import cutting_of, decode_piece, reading_of
from simclr_steps.data.readable import shown
from simclr_steps.data.stored_arrays import open_arrays
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import ArraysDataset, FolderDataset, count_and_names
from simclr_steps.settings.image_format import Dtype
from simclr_steps.settings.reading import check
from simclr_steps.settings.sizes import Size

MOST_OPENED, MOST_DECODED = 200, 40  # images of a sample
TILE = 256  # pixels, the side of a tile
_SIDE_WHILE_LOOKING = 64
_PERCENTILES = (0.1, 99.9)
_GRAY = 8  # levels of 256 by which red, green and blue of a gray image differ at most, as JPEG stores it
_COLORED = 0.001  # share of the pixels that differ by more in a color image
_LARGEST_WHOLE = 50_000_000  # pixels of an image, beyond which it is rather cut into tiles


@dataclass(frozen=True, kw_only=True)
class FirstLook:
    """What was seen. `keys` are those of the data set's block that these images need, as a config gives them.

    `sizes` are height and width of the images that were opened, and `limits` the percentiles 0.1 and 99.9 of the
    values of those that were decoded. `unreadable` says why an image cannot be read.
    """

    keys: Mapping[str, Any]
    listing: Listing
    sizes: Sequence[Size]
    channels: int
    is_color: bool
    dtype: Dtype
    limits: tuple[float, float]
    opened: int
    decoded: int
    unreadable: Mapping[Path, str] = field(default_factory=dict)

    @property
    def parts(self) -> float:
        """Into how many tiles an image is cut on average, 1 if it is not."""
        if "tiles" not in self.keys:
            return 1.0
        return float(np.mean([(height // TILE) * (width // TILE) for height, width in self.sizes]))


def evenly_spread(count: int, most: int) -> list[int]:
    """Return at most `most` of the numbers from 0 to `count` - 1, evenly spread, sorted."""
    return [int(place) for place in np.unique(np.linspace(0, count - 1, min(count, most)).round())]


def look_at_arrays(path: Path) -> FirstLook:
    """Look at an .npz file or a folder of .npy files.

    Raises
    ------
    UserError
        When an array is wrong.
    """
    keys: dict[str, Any] = {"source": "arrays", "path": str(path)}
    stored = open_arrays(path).get("train_images")
    if stored and len(stored.shape) == 4 and stored.shape[1] < stored.shape[3]:
        keys["layout"] = "NCHW"
    dataset = ArraysDataset.model_validate(keys)
    listing = list_arrays(dataset)
    if not listing.names:
        raise UserError(f"{path} holds no images: train_images has the shape {stored.shape if stored else ()}")
    height, width, channels = listing.shape
    from simclr_steps.data.numpy_files import read_arrays  # slow to import, and files need it not

    rows = np.array(evenly_spread(len(listing.names), MOST_DECODED))
    images = np.concatenate([values for _, values in read_arrays(dataset).read(rows)])
    is_color = channels == 3 and listing.dtype == "uint8"
    if channels == 3 and not is_color:
        keys["channels"] = _numbered(channels)
    return FirstLook(
        keys=keys,
        listing=listing,
        sizes=[(height, width)],
        channels=channels,
        is_color=is_color,
        dtype=listing.dtype,
        limits=_limits(images),
        opened=len(images),
        decoded=len(images),
    )


def look_at_files(path: Path) -> FirstLook:
    """Look at a folder of images, or at a CSV file that lists them; only a sample of them is opened.

    Raises
    ------
    UserError
        When there are none, the CSV file is wrong, none of the sample is readable, or they differ in what all must
        share.
    """
    columns = list(next(read_lines(path))[1]) if path.is_file() else []
    of_channels = [column.removeprefix(OF_CHANNEL) for column in columns if column.startswith(OF_CHANNEL)]
    keys: dict[str, Any] = {"source": "folder", "path": str(path)}
    if of_channels and "path" not in columns:
        keys["channels"] = of_channels
    found = find(_dataset(keys))
    sample = [found.files[place] for place in evenly_spread(len(found.files), MOST_OPENED)]
    looks: dict[int, FileLook] = {}
    unreadable: dict[Path, str] = {}
    for number, file in enumerate(sample):
        path_in_sample = shown(path_of(found.base, file))
        try:
            looks[number] = look_at(path_in_sample)
        except Exception as error:  # a damaged file can make a decoder fail in any way
            unreadable[path_in_sample] = reason_of(error, path_in_sample)
    sizes = {number: (look.height, look.width) for number, look in looks.items()}
    if not found.of_channels:
        keys |= _channels_of(list(looks.values()))
    boxes = {number: file.box for number, file in enumerate(sample) if file.box and number in sizes}
    if boxes:
        sizes = {number: (box.height, box.width) for number, box in boxes.items()}
    elif any(height * width > _LARGEST_WHOLE for height, width in sizes.values()):
        keys["tiles"] = {"size": TILE}
        boxes = {number: _in_the_middle(size) for number, size in sizes.items()}
    dataset = _dataset(keys)
    reading = reading_of(dataset, found.channel_names or count_and_names(dataset.channels)[1])
    cutting = cutting_of(dataset, reading)
    first: tuple[Path, Decoded] | None = None
    images = []
    numbers = list(looks)
    for number in (numbers[place] for place in evenly_spread(len(numbers), MOST_DECODED)):
        place = path_of(found.base, sample[number])
        box = boxes.get(number)
        image = decode_piece(place, box, cutting) if box else decode(place, reading)
        if isinstance(image, str):
            unreadable[shown(place)] = image
            continue
        check_alike(place, image, first)
        first = first or (shown(place), image)
        images.append(image.values)
    if first is None:
        if not unreadable:
            raise UserError(f"{path} has no readable image")
        name, reason = next(iter(unreadable.items()))
        raise UserError(f"{name} is unreadable ({reason}), and so is each image that was opened: fix or convert them")
    values = np.stack(images)
    channels, names = count_and_names(dataset.channels)
    is_color = channels == 3 and names is None
    if is_color and _has_color(values) is False and all(look.is_picture for look in looks.values()):
        channels, is_color = 1, False
    keys.setdefault("channels", channels)
    return FirstLook(
        keys=keys,
        listing=listing_of(found, dataset),
        sizes=list(sizes.values()),
        channels=channels,
        is_color=is_color,
        dtype=first[1].dtype,
        limits=_limits(values),
        opened=len(sample),
        decoded=len(images),
        unreadable=unreadable,
    )


def _dataset(keys: Mapping[str, Any]) -> FolderDataset:
    dataset: FolderDataset = check(FolderDataset, {"image_size": _SIDE_WHILE_LOOKING, **keys})
    return dataset


def _channels_of(looks: Sequence[FileLook]) -> dict[str, Any]:
    """Return the keys that say how channels and planes are stored, as most of the files have them."""
    if not looks:
        return {}
    keys: dict[str, Any] = {}
    if any(look.has_planes for look in looks):
        keys["planes"] = "max"
    [(most, _)] = Counter(
        (look.is_picture, look.is_color, look.channels, look.channel_names) for look in looks
    ).most_common(1)
    is_picture, is_color, channels, names = most
    if is_picture:
        return keys
    if len(set(names)) == channels and all(name.strip() for name in names):
        return keys | {"channels": list(names)}
    return keys | {"channels": _numbered(channels) if channels == 3 and not is_color else channels}


def _numbered(channels: int) -> list[str]:
    """Return names by which three channels are not taken for red, green and blue."""
    return [f"channel_{number}" for number in range(channels)]


def _in_the_middle(size: Size) -> Box:
    height, width = size
    side = min(TILE, height, width)
    return Box((width - side) // 2, (height - side) // 2, side, side)


def _limits(images: npt.NDArray[Any]) -> tuple[float, float]:
    """Return about what `value_range: auto` takes, of all channels together."""
    low, high = np.nanpercentile(images, _PERCENTILES)
    return float(low), float(high)


def _has_color(images: npt.NDArray[Any]) -> bool:
    """Return whether red, green and blue differ in the pixels of some image: [N, H, W, 3]."""
    spread = np.ptp(images, axis=3)
    tolerance = _GRAY / 255 * max(float(np.nanmax(images)), 1e-9)
    return bool(((spread > tolerance).mean(axis=(1, 2)) > _COLORED).any())
