"""Names in any script are drawn in an installed font that has them; where none has, one line says so."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]
from matplotlib.font_manager import fontManager
from PIL import Image

from simclr_steps.figures import fonts
from simclr_steps.figures.plots import new_figure, save

DOG, CAT = "犬", "猫"


@pytest.fixture
def font_with_a_dog(tmp_path: Path) -> Iterator[None]:
    """Install a font that has one character, a square of ink."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 1000), (1000, 1000), (1000, 0)):
        pen.lineTo(corner)
    pen.closePath()
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "dog"])
    builder.setupCharacterMap({ord(DOG): "dog"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "dog": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "dog": (1000, 0)})
    builder.setupHorizontalHeader(ascent=1000, descent=0)
    builder.setupNameTable({"familyName": "Square Sans", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=1000)
    builder.setupPost()
    builder.save(tmp_path / "square.ttf")
    known = list(fontManager.ttflist)
    fontManager.addfont(tmp_path / "square.ttf")
    forget()
    yield
    fontManager.ttflist[:] = known
    forget()


def forget() -> None:
    for cached in (fonts._characters, fonts._fallbacks, fonts._say_unknown):
        cached.cache_clear()


def ink(text: str, stem: Path) -> int:
    """Return how many pixels of a plot are black where its only name is `text`, in a title and at a tick."""
    figure = new_figure(2, 2)
    axes = figure.add_subplot()
    axes.set_yticks([0.5], [text])
    axes.set_title(text, fontsize=40)
    save(figure, stem)
    return sum(Image.open(stem.with_suffix(".png")).convert("L").histogram()[:50])


@pytest.mark.usefixtures("font_with_a_dog")
def test_a_name_falls_back_to_an_installed_font(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dog = ink(f"a{DOG}", tmp_path / "dog")
    assert not caplog.messages
    assert dog > ink("aa", tmp_path / "latin") + 5000, "a square of 40 points has 12,000 pixels"


@pytest.mark.usefixtures("font_with_a_dog")
def test_characters_that_no_font_has_are_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), warnings.catch_warnings():
        warnings.simplefilter("error")
        ink(f"{DOG}{CAT}\n{CAT}", tmp_path / "both")
        ink(f"{DOG}{CAT}", tmp_path / "both")
    assert caplog.messages == [
        f"warning: no installed font has {CAT}, shown as boxes in the plots: install one, such as Noto Sans"
    ]
