"""Tiles that large images are cut into, and which of them are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from simclr_steps.data.boxes import NOWHERE, Box
from simclr_steps.data.image_index import ImageFile
from simclr_steps.data.scaling import Values
from simclr_steps.data.splits import Rows
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.sizes import Size, as_size
from simclr_steps.settings.tiles import Tiles

Sizes = Mapping[str, Size | str]  # height and width of each image by its path, or why it cannot be read


def cut_up(files: Sequence[ImageFile], sizes: Sizes, tiles: Tiles) -> list[ImageFile]:
    """Return the tiles of all images, row by row; an image that cannot be read is one that is nowhere.

    The log says what falls off.

    Raises
    ------
    UserError
        When no image has room for a tile.
    """
    height, width = as_size(tiles.size)
    down, across = as_size(tiles.stride or tiles.size)
    parts: list[ImageFile] = []
    too_small = pixels = covered = 0
    for file in files:
        size = sizes[file.parent]
        if isinstance(size, str):
            parts.append(replace(file, box=NOWHERE))
            continue
        tops, lefts = range(0, size[0] - height + 1, down), range(0, size[1] - width + 1, across)
        parts.extend(replace(file, box=Box(left, top, width, height)) for top in tops for left in lefts)
        pixels += size[0] * size[1]
        if tops and lefts:
            covered += (tops[-1] + height) * (lefts[-1] + width)
        else:
            too_small += 1
    known = [size for size in sizes.values() if not isinstance(size, str)]
    if known and not covered:
        largest = max(known, key=lambda size: size[0] * size[1])
        raise UserError(
            f"tiles.size: {height} × {width} pixels are more than every image has, of which the largest has "
            f"{largest[0]:,} × {largest[1]:,}: choose a smaller one"
        )
    if known:
        log.info(
            "cut %d images into %d tiles; %.1f %% of the pixels fall off at the images' edges",
            len(known),
            sum(part.box != NOWHERE for part in parts),
            100 * (1 - covered / pixels),
        )
    if too_small:
        log.warning("%d images are smaller than a tile, and are left out", too_small)
    return parts


class Keep:
    """Drops tiles with nothing on them: those of little deviation, and those without any data.

    `dropped` are their rows, once all parts were gone through.
    """

    def __init__(self, min_std: float) -> None:
        self.dropped: list[int] = []
        self._min_std = min_std

    def kept(self, parts: Iterable[tuple[Rows, Values]], form: ImageFormat) -> Iterator[tuple[Rows, Values]]:
        """Yield the rows that are kept, with their images, [n, H, W, C], whose missing pixels are NaN.

        Raises
        ------
        UserError
            When none is left in the end.
        """
        count, most = 0, -1.0  # the deviation where there are no data
        for rows, images in parts:
            deviations = np.array([_deviation(image, form) for image in images])
            is_kept = deviations >= self._min_std
            self.dropped.extend(rows[~is_kept].tolist())
            count, most = count + len(rows), max(most, float(deviations.max()))
            if is_kept.any():
                yield rows[is_kept], images[is_kept]
        if count and len(self.dropped) == count:
            if most < 0:
                raise UserError(f"tiles.nodata: none of the {count} tiles has any data: check the value")
            raise UserError(
                f"tiles.keep: min_std {self._min_std:g} leaves none of the {count} tiles, whose largest standard "
                f"deviation is {most:.2g} of the value range: lower it"
            )
        if self.dropped:
            log.info("dropped %d of %d tiles with nothing on them, and kept the others", len(self.dropped), count)


def _deviation(image: npt.NDArray[np.generic], form: ImageFormat) -> float:
    """Return the standard deviation of the channel in which it is largest, as a share of the range; -1 without data."""
    low, high = np.array(form.value_range, dtype=np.float32).T
    values = np.clip((image.astype(np.float32) - low) / (high - low), 0, 1).reshape(-1, image.shape[-1])
    values = values[~np.isnan(values).any(axis=1)]
    return float(values.std(axis=0, dtype=np.float64).max()) if len(values) else -1.0
