"""The surest mistakes of a classifier come first, each with its own image."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from simclr_steps.figures.contrast import contrast_of_split
from simclr_steps.summary.mistakes import MOST, as_list, draw_mistakes, surest_mistakes
from tests.unit.conftest import deep_digits, digits
from tests.unit.digit_names import DIGITS


def test_the_first_mistakes_are_shown_in_their_order_with_their_own_images() -> None:
    images, labels = digits(60)
    chances = np.random.default_rng(0).dirichlet(np.ones(10), 60)
    guess = chances.argmax(axis=1)
    table = pd.DataFrame({"row": range(60), "label": pd.Series(labels, dtype="Int64"), "prediction": guess})
    table["class"], table["predicted_class"] = [[DIGITS[number] for number in column] for column in (labels, guess)]
    named = pd.DataFrame(chances, columns=[f"probability_{digit}" for digit in DIGITS])
    wrong = np.random.default_rng(1).permutation(np.flatnonzero(labels != guess))
    found = surest_mistakes(pd.concat([table, named], axis=1), wrong, images)
    np.testing.assert_array_equal(found.images, images[wrong[:MOST]])
    first = wrong[0]
    assert found.names[0] == f"{DIGITS[labels[first]]}\n→ {DIGITS[guess[first]]}\n{100 * chances[first].max():.0f} %"
    assert (found.count, found.labeled) == (len(wrong), 60)


def test_mistakes_show_the_channels_that_are_asked_for() -> None:
    images, _ = deep_digits(1, channels=5)
    table = pd.DataFrame({"row": [0], "label": [0], "prediction": [1], "class": ["a"], "predicted_class": ["b"]})
    table = table.assign(probability_a=0.1, probability_b=0.9)
    found = surest_mistakes(table, np.array([0]), images, {4: (0, 0, 1)}, "Mito in blue")
    axes = draw_mistakes({"tuned": found}).axes[0]
    assert axes.get_title().endswith("image wrong\nMito in blue")
    picture = np.asarray(axes.images[0].get_array())
    np.testing.assert_array_equal(picture[..., 2], np.rint(images[0, ..., 4] / 257))
    assert not picture[..., :2].any()


def test_dim_images_are_brightened_which_the_figure_says() -> None:
    images = deep_digits(40)[0] // 8
    table = pd.DataFrame({"row": [7], "label": [0], "prediction": [1], "class": ["a"], "predicted_class": ["b"]})
    table = table.assign(probability_a=0.1, probability_b=0.9)
    contrast = contrast_of_split(images, None)
    assert contrast is not None
    axes = draw_mistakes({"tuned": surest_mistakes(table, np.array([7]), images, contrast=contrast)}).axes[0]
    assert axes.get_title().endswith("image wrong\nall images brightened alike")
    picture = np.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(picture[..., 0], contrast.stretched(images[7])[..., 0] / 257, atol=1)
    assert picture.max() > 3 * images[7].max() / 257


def test_no_mistake_at_all_makes_an_empty_gallery() -> None:
    table = pd.DataFrame({"row": [0], "label": [1], "prediction": [1], "class": ["b"], "predicted_class": ["b"]})
    table = table.assign(probability_a=0.1, probability_b=0.9)
    found = surest_mistakes(table, np.arange(0), digits(1)[0])
    assert (len(found.images), found.names, found.count) == (0, [], 0)
    assert "0 of 1 image wrong" in draw_mistakes({"tuned": found}).axes[0].get_title()


def test_paths_are_told_with_links_to_the_files_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a&b.png").touch()
    table = pd.DataFrame({"row": [0, 1], "source": ["a&b.png", "gone.png"], "label": [0, 0], "prediction": [1, 1]})
    table = table.assign(probability_a=[0.1, 0.2], probability_b=[0.9, 0.8], predicted_class="b")
    found = {"tuned": surest_mistakes(table.assign(**{"class": "<a>"}), np.arange(2), digits(2)[0])}
    page = as_list(found, {"tuned": tmp_path / "images"}, tmp_path)
    assert re.search(r'<a href="[^"]*images/a%26b.png">a&amp;b.png</a>: &lt;a&gt; → b 90 %</li>', page)
    assert "<li>gone.png: &lt;a&gt; → b 80 %</li>" in page
    assert "<li>a&amp;b.png:" in as_list(found, {"tuned": None}, tmp_path)
    table = table.drop(columns="source").assign(**{"class": "a"})
    without = {"tuned": surest_mistakes(table, np.arange(2), digits(2)[0])}
    assert not as_list(without, {}, tmp_path).strip()
