from __future__ import annotations

import numpy as np
import pandas as pd

from simclr_steps.figures.alt_text import alt_text
from simclr_steps.figures.plots import PANEL, as_text, as_title, panels
from simclr_steps.summary.confusion import draw_confusions
from simclr_steps.summary.mistakes import Mistakes, draw_mistakes


def test_lines_are_told_by_their_ends_and_a_long_figure_by_its_first_panels() -> None:
    figure, drawn = panels(5, *PANEL)
    for number, axes in enumerate(drawn):
        axes.set(title=as_title(f"$digits$ {number}"), xlabel="labels", ylabel="accuracy in %")
        axes.errorbar([10, 20, 30], [50, 80.123, 90.26], yerr=[1, 1, 1], label=as_text("a$b"))
        axes.plot([10, 20], [np.nan, 7.5], label="once")
        axes.plot([10, 20], [1, 2])
    said = alt_text(figure)
    assert said.startswith("$digits$ 0: accuracy in % by labels: once 7.5; a$b 50 to 90.3. $digits$ 1")
    assert said.endswith(" 1 more panel.") and "digits$ 4" not in said


def test_a_matrix_is_told_by_its_diagonal_and_tiles_by_what_stands_below_them() -> None:
    counts = pd.DataFrame([[9, 1], [5, 5]], index=["cat", "dog"], columns=["cat", "dog"])
    assert alt_text(draw_confusions({"tuned": counts})).endswith("in the diagonal, cat 90, dog 50.")
    tiles = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    wrong = Mistakes(tiles, ["cat\n→ dog\n99 %", "dog\n→ cat\n75 %"], 2, 10, None, [], [])
    assert alt_text(draw_mistakes({"tuned": wrong})) == "tuned, 2 of 10 images wrong: cat → dog 99 %; dog → cat 75 %."
