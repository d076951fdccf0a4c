"""Text can be read on a light ground and on a dark one, and no page has a color of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simclr_steps.figures.page_style import STYLE
from tests.unit.browser import needs_chromium, visit
from tests.unit.figures.test_plots import contrast

PACKAGE = Path(__file__).parents[3] / "simclr_steps"
LEAST = {"text": 4.5, "soft": 4.5, "good": 4.5, "doubt": 4.5, "strong": 3, "mark": 3}


def test_text_and_marks_stand_out_from_the_ground_light_and_dark() -> None:
    modes = [dict(re.findall(r"--(\w+): (#\w+);", block)) for block in re.findall(r":root \{(.*?)\}", STYLE, re.S)]
    light, dark, _ = modes
    assert contrast(light["ground"], "#fff") == 1 and contrast(dark["ground"], "#000") < 1.3
    assert light.keys() == dark.keys() >= LEAST.keys()
    for mode in (light, dark):
        low = {name: min(contrast(mode[name], mode[ground]) for ground in ("ground", "shade")) for name in LEAST}
        assert [name for name, least in LEAST.items() if low[name] < least] == []


@pytest.mark.parametrize("template", ["summary/page", "figures/picture_page", "figures/found_images"])
def test_a_page_has_no_colors_of_its_own(template: str) -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", (PACKAGE / f"{template}.html.j2").read_text(), re.S)
    assert "{{ style }}" in style and not re.search(r"#[0-9a-f]{3,8}\b", style)


@pytest.mark.slow
@needs_chromium
def test_a_reader_whose_system_is_dark_gets_a_dark_page(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(f"<style>{STYLE}</style><p>Text</p>")
    ground = {dark: visit(page, tmp_path / f"{dark}", 200, 100, dark=dark).picture[-1, -1] for dark in (False, True)}
    assert (ground[False] == 255).all() and (ground[True] < 50).all()
