"""Draw the pictures of docs/augmentation.md: for each preset three images, each beside random views of it.

    python -m tests.augmentation_pictures docs [CELLS]

Digits and photographs come with scikit-learn. CELLS is a folder that holds the human cells of CellProfiler's examples
(github.com/CellProfiler/examples, ExampleHuman), one file for each channel; without it the picture of `microscopy` is
left as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from simclr_steps.methods import random_numbers
from simclr_steps.methods.views import random_views
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.reading import check

Images = npt.NDArray[np.uint8]

VIEWS, TILE, GAP = 7, 72, 4  # views of an image; the rest is in pixels
COLORS = 200  # of a picture's palette, which keeps its file small
CORNERS = {0: ((150, 40), (300, 300)), 1: ((140, 190),)}  # of pieces of scikit-learn's two photographs
PIECE = 120
CELLS = ((60, 60), (200, 240), (330, 120))  # corners of pieces of the field of cells
PIECE_OF_CELLS = 110


def main(out: str, cells: str | None = None) -> None:
    """Write the picture of each preset into a folder."""
    photos = photographs()
    examples = {"digits": digits(), "color": photos, "photos": photos}
    if cells:
        examples["microscopy"] = field_of_cells(Path(cells))
    for preset, images in examples.items():
        picture(preset, images).save(Path(out) / f"augmentation_{preset}.png", optimize=True)


def picture(preset: str, images: Images) -> Image.Image:
    """Return images, uint8 [N, H, W, C], in the first column, and beside each its views."""
    tiles, rows = torch.from_numpy(images), torch.arange(len(images))
    size = TILE if images.shape[1] > TILE else images.shape[1]
    key, settings = random_numbers.keys(0, 0, rows, VIEWS), check(Augmentation, {"preset": preset})
    plain = check(Augmentation, {"crop_probability": 0, "horizontal_flip_probability": 0, "jitter_probability": 0})
    plain = plain.model_copy(update={"grayscale_probability": 0.0})
    is_color = preset != "microscopy"
    shown = [
        random_views(tiles, key[:1], plain, (size, size), is_color),
        random_views(tiles, key, settings, (size, size), is_color),
    ]
    columns = (torch.cat(shown) * 255).round().to(torch.uint8).permute(1, 0, 3, 4, 2).numpy()
    columns = columns.repeat(TILE // size, axis=2).repeat(TILE // size, axis=3)
    columns = columns.repeat(4 - columns.shape[-1], axis=-1) if columns.shape[-1] == 1 else columns
    step = TILE + GAP
    page = np.full((len(images) * step - GAP, (1 + VIEWS) * step + GAP, 3), 255, dtype=np.uint8)
    for row, line in enumerate(columns):
        for column, tile in enumerate(line):
            left = column * step + 2 * GAP * (column > 0)
            page[row * step : row * step + TILE, left : left + TILE] = tile
    return Image.fromarray(page).quantize(COLORS)


def digits() -> Images:
    """Return three handwritten digits."""
    return np.asarray(load_digits().images[[4, 5, 9], :, :, None] * 255 // 16, dtype=np.uint8)


def photographs() -> Images:
    """Return three pieces of photographs."""
    photos = load_sample_images().images
    places = [(photos[number], *corner) for number, corners in CORNERS.items() for corner in corners]
    return np.stack([photo[top : top + PIECE, left : left + PIECE] for photo, top, left in places])


def field_of_cells(folder: Path) -> Images:
    """Return three pieces of a field of cells; its three channels, each in its own range, are red, green and blue."""
    channels = [np.asarray(Image.open(folder / f"AS_09125_050116030001_D03f00d{number}.tif")) for number in range(3)]
    field = np.stack(channels, axis=-1).astype(np.float32)
    low, high = np.percentile(field, (1, 99.7), axis=(0, 1))
    field = ((field - low) / (high - low)).clip(0, 1) * 255
    side = PIECE_OF_CELLS
    return np.stack([field[top : top + side, left : left + side] for top, left in CELLS]).astype(np.uint8)


if __name__ == "__main__":
    main(*sys.argv[1:])
