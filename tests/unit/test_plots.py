from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from simclr_steps.plots import as_text, as_title, colours, new_figure, save

# Machado, Oliveira and Fernandes, 2009: what a reader without green cones sees, in linear RGB.
DEUTERANOPIA = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])


def least_difference(names: list[str]) -> float:
    seen = np.array([to_rgb(name) for name in names]) ** 2.2 @ DEUTERANOPIA.T
    distances = np.linalg.norm(seen[:, None] - seen[None], axis=2) + np.eye(len(seen))
    return float(distances.min())


def test_ten_colours_differ_also_for_colour_blind_readers() -> None:
    usual = [to_hex(colour) for colour in mpl.colormaps["tab10"](range(10))]
    assert least_difference(colours(10)) > 1.5 * least_difference(usual)


def test_any_number_of_classes_gets_as_many_colours() -> None:
    for count in (0, 1, 10, 11, 100):
        assert len(set(colours(count))) == count


def test_a_figure_is_written_whole_twice_the_same_as_png_and_svg(tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        figure = new_figure(3, 2)
        figure.add_subplot().plot([1, 2], [3, 4])
        save(figure, tmp_path / name)
        files.append([(tmp_path / f"{name}.{kind}").read_bytes() for kind in ("png", "svg")])
    assert files[0] == files[1]
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


def test_names_are_shown_letter_by_letter_and_long_ones_are_cut_or_wrapped() -> None:
    assert as_text("$a$ cl$ss") == r"\$a\$ cl\$ss"  # matplotlib's own way to write a dollar sign
    assert len(as_text("x" * 100)) < 40
    assert as_title("word " * 30).count("\n") > 1


def test_plots_leave_pyplot_alone() -> None:
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
