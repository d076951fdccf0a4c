"""Pictures with their names, in sections and strips, as one page that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
import numpy.typing as npt

from simclr_steps.figures.page_style import STYLE
from simclr_steps.figures.thumbnails import sprite, sprite_columns

SIDE = 64  # pixels of the longer side of a picture
_MOST_BYTES = 10_000_000  # of all pictures
_TEMPLATE = Path(__file__).with_suffix(".html.j2")


@dataclass(frozen=True)
class Strip:
    """Pictures that belong together."""

    heading: str
    pictures: Sequence[int]  # numbers of images
    captions: Sequence[str]  # of each
    links: Sequence[str | None] = ()  # of each, to its file where there is one; none at all if it is empty


@dataclass(frozen=True)
class Section:
    """Strips under a heading, below sentences on what they are."""

    heading: str
    sentences: Sequence[str]
    strips: Sequence[Strip]


def picture_page(
    title: str, sentences: Sequence[str], sections: Sequence[Section], images: npt.NDArray[np.uint8] | None
) -> str:
    """Return a page; `images`, [N, h, w, 3], are small copies of all that its strips number, None to show the names."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    count, height, width = (0, 0, 0) if images is None else images.shape[:3]
    zoom = SIDE / max(height, width, 1)
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        style=STYLE,
        title=title,
        sentences=sentences,
        sections=sections,
        pictured=images is not None,
        sheet=sprite(images, _MOST_BYTES) if images is not None and count else "data:,",
        columns=max(1, sprite_columns(count)),
        height=round(zoom * height),
        width=round(zoom * width),
    )
