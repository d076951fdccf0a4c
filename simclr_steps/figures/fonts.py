"""Fonts for what the plots' own font lacks, such as Chinese names of classes."""

from __future__ import annotations

import warnings
from functools import cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager, get_font
from matplotlib.text import Text

from simclr_steps.machine.logs import log

_OWN = "DejaVu Sans"  # which comes with matplotlib
_PLACEHOLDERS = "Last Resort"  # how the fonts begin that have a box for each character


def use_installed_fonts(figure: Figure) -> None:
    """Let each of a figure's texts fall back to installed fonts for the characters that the plots' own font lacks."""
    texts = _texts(figure)
    wanted = {character for text in texts for character in text.get_text() if character.isprintable()}
    missing = frozenset(wanted) - _characters(_OWN)
    if not missing:
        return
    families, unknown = _fallbacks(missing)
    for text in texts:
        text.set_fontfamily([_OWN, *families])
    if unknown:
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # a line for each of them
        _say_unknown(" ".join(sorted(unknown)))


def _texts(figure: Figure) -> list[Text]:
    for axes in figure.axes:  # which have no names of ticks before
        axes.get_xticklabels()
        axes.get_yticklabels()
    return [text for text in figure.findobj() if isinstance(text, Text)]


@cache
def _fallbacks(missing: frozenset[str]) -> tuple[list[str], set[str]]:
    """Return the families of fonts that together have the missing characters, and the characters that none has."""
    families, left = [], set(missing)
    usual = {font.name for font in fontManager.ttflist if (font.style, font.weight) == ("normal", 400)}
    for family in sorted(usual, key=lambda name: ("Sans" not in name, name)):  # first those that look like ours
        if left and not family.startswith(_PLACEHOLDERS) and (found := left & _characters(family)):
            families.append(family)
            left -= found
    return families, left


@cache
def _characters(family: str) -> frozenset[str]:
    try:
        file = fontManager.findfont(FontProperties(family=[family]), fallback_to_default=False)
        return frozenset(map(chr, get_font(file).get_charmap()))
    except (OSError, RuntimeError, ValueError):  # damaged, or gone since it was listed
        return frozenset()


@cache
def _say_unknown(characters: str) -> None:
    log.warning(
        "warning: no installed font has %s, shown as boxes in the plots: install one, such as Noto Sans", characters
    )
