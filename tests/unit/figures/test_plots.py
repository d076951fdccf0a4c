from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.dom import minidom

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from simclr_steps.figures.plots import (
    COLORS,
    NO_LABEL_COLOR,
    PANEL,
    RAMP,
    as_text,
    as_title,
    lines_of,
    longest_line,
    new_figure,
    panels,
    save,
    share_y,
)

# Machado, Oliveira and Fernandes, 2009, severity 1: what readers without one kind of cones see, in linear RGB.
SEEN_BY = {
    "all": np.eye(3),
    "protanopes": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopes": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopes": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)
WHITE = np.array([0.95047, 1, 1.08883])


def least_difference(names: Sequence[str], reader: str) -> float:
    """Return the least ΔE (CIE 1976) of two colors as a reader sees them; 2.3 is just noticeable."""
    linear = np.array([to_rgb(name) for name in names])
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.array(SEEN_BY[reader]).T, 0, 1) @ TO_XYZ.T / WHITE
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
    return min(float(np.linalg.norm(one - other)) for one, other in itertools.combinations(lab, 2))


def contrast(one: str, other: str, opacity: float = 1) -> float:
    """Return the contrast by WCAG, from 1 to 21, of a color that lets some of another through."""
    rgb = np.array([to_rgb(one), to_rgb(other)])
    rgb[0] = opacity * rgb[0] + (1 - opacity) * rgb[1]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    dark, light = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return float((light + 0.05) / (dark + 0.05))


def test_every_mark_stands_out_from_white() -> None:
    marks = (*COLORS, *RAMP, NO_LABEL_COLOR)
    assert [mark for mark in marks if contrast(mark, "white", 0.8) < 3] == []


@pytest.mark.parametrize("reader", SEEN_BY)
def test_ten_colors_differ_for_every_reader(reader: str) -> None:
    turbo = [to_hex(mpl.colormaps["turbo"](number / 10)) for number in range(11)]
    assert least_difference((*COLORS, NO_LABEL_COLOR), reader) > 15
    assert least_difference(turbo, "deuteranopes") < 5, "what eleven classes had before shapes told them apart"


def test_panels_to_be_compared_share_their_range_and_stand_in_two_columns() -> None:
    figure, drawn = panels(3, *PANEL)
    for axes, height in zip(drawn, (1, 5, 9), strict=True):
        axes.plot([0, 1], [0, height])
    share_y(drawn)
    assert len({axes.get_ylim() for axes in drawn}) == 1
    assert figure.get_figwidth() <= 7.2, "the width of a page's text, so that print shrinks no letter"
    assert min(float(text.get_fontsize()) for axes in drawn for text in axes.get_xticklabels()) >= 8


def test_an_svg_with_control_characters_in_its_names_is_xml(tmp_path: Path) -> None:
    figure = new_figure(3, 2)
    axes = figure.add_subplot(title=as_title("a title\x1b[0m\x00"))
    axes.set_xticks([0, 1], [as_text("\x0bone\ufffe"), as_text("two\ud800")])
    save(figure, tmp_path / "plot")
    assert "a title�[0m�" in minidom.parse(str(tmp_path / "plot.svg")).toxml()


def test_a_figure_is_written_whole_twice_the_same_as_png_and_svg(tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        figure = new_figure(3, 2)
        figure.add_subplot(title="a title").plot([1, 2], [3, 4])
        save(figure, tmp_path / name)
        files.append([(tmp_path / f"{name}.{kind}").read_bytes() for kind in ("png", "svg")])
    assert files[0] == files[1]
    assert ">a title</text>" in files[0][1].decode(), "it can be searched for, copied and read aloud"
    assert Image.open(tmp_path / "one.png").width > 300
    assert len(list(tmp_path.iterdir())) == 4


def test_text_beyond_the_figure_is_not_cut(tmp_path: Path) -> None:
    widths = []
    for name, title in (("short", "x"), ("long", "a title that is far wider than its figure " * 3)):
        figure = new_figure(2, 2)
        figure.add_subplot().set_title(title)
        save(figure, tmp_path / name)
        widths.append(Image.open(tmp_path / f"{name}.png").width)
    assert widths[1] > 3 * widths[0]


def test_names_are_shown_letter_by_letter_and_long_ones_whole_in_lines() -> None:
    assert as_text("$a$ cl$ss") == r"\$a\$ cl\$ss"  # matplotlib's own way to write a dollar sign
    assert as_text("x" * 100).replace("\n", "") == "x" * 100 and longest_line([as_text("x" * 100)]) < 40
    assert as_text("Adenocarcinoma, stage 1", 16) == "Adenocarcinoma,\nstage 1"
    assert as_text("123456789", 9) == "123456789" and lines_of([as_text("1234567890", 9)]) == 2
    assert as_title("word " * 30).count("\n") > 1


def test_plots_leave_pyplot_alone() -> None:
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
