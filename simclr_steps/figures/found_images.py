"""A page with images that were searched for, and the most similar ones to each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment

from simclr_steps.figures.page_style import STYLE

_TITLE = "<title>Most similar images</title>"  # of the template
_TEMPLATE = Path(__file__).with_suffix(".html.j2")


@dataclass(frozen=True)
class Found:
    """An image that was found."""

    rank: int  # from 1
    cosine: float
    path: str
    picture: str | None  # a data: address; None where the image cannot be shown


@dataclass(frozen=True)
class Search:
    """An image that was searched for, and what was found, best first."""

    name: str
    picture: str | None
    found: Sequence[Found]


def found_page(searches: Sequence[Search], lines: Sequence[str]) -> str:
    """Return the HTML of a page that needs no other file, with some lines above the pictures."""
    environment = Environment(autoescape=True, trim_blocks=True)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(style=STYLE, searches=searches, lines=lines)


def is_found_page(file: Path) -> bool:
    """Return whether a file is such a page."""
    return file.is_file() and _TITLE in file.read_text(encoding="utf-8", errors="replace")
