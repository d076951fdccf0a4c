from __future__ import annotations

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from sklearn.metrics import confusion_matrix

from simclr_steps.summary.confusion import confusion, draw_confusions
from tests.unit.figures.test_plots import contrast


def predictions(classes: int, rows: int = 400) -> pd.DataFrame:
    random = np.random.default_rng(0)
    label = pd.Series(random.integers(0, classes, rows), dtype="Int64")
    guess = np.where(random.random(rows) < 0.7, label, random.integers(0, classes, rows))
    probabilities = {f"probability_class {number}": 0.5 for number in range(classes)}
    return pd.DataFrame({"label": label, "prediction": guess, **probabilities})


def test_counts_are_scikit_learns_and_rows_without_a_label_do_not_count() -> None:
    table = predictions(5)
    table.loc[:99, "label"] = pd.NA
    known = table.dropna()
    found = confusion(table)
    expected = confusion_matrix(known["label"].to_numpy(int), known["prediction"], labels=range(5))
    np.testing.assert_array_equal(found.to_numpy(), expected)
    assert list(found.index) == [f"class {number}" for number in range(5)]


def test_few_classes_show_percent_of_their_row_and_many_a_scale() -> None:
    few = draw_confusions({"a": confusion(predictions(3))})
    shown = sorted(float(text.get_text()) for text in few.axes[0].texts)
    counts = confusion(predictions(3)).to_numpy()
    assert shown == sorted(np.round(100 * counts / counts.sum(axis=1, keepdims=True)).ravel())
    for percent in (72, 73):
        two = pd.DataFrame([[percent, 100 - percent], [0, 1]], index=["a", "b"])
        number = draw_confusions({"a": two}).axes[0].texts[0]
        assert contrast(to_hex(number.get_color()), to_hex(mpl.colormaps["Blues"](percent / 100))) > 4.5
    many = draw_confusions({"a": confusion(predictions(100))})
    FigureCanvasAgg(many).draw()  # type: ignore[no-untyped-call]
    assert len(many.axes) == 2
    assert not many.axes[0].texts
    assert len(many.axes[0].get_xticks()) <= 25


def test_no_label_makes_a_sentence() -> None:
    table = predictions(3)
    figure = draw_confusions({"a": confusion(table.assign(label=table["label"].mask(table["label"].notna())))})
    assert not figure.axes
    assert "requires labels" in figure.texts[0].get_text()


def test_long_names_of_classes_are_whole_once_with_their_numbers_at_both_sides() -> None:
    counts = confusion(predictions(9))
    names = [f"Adenocarcinoma, well differentiated, stage {number}" for number in range(1, 10)]
    counts.index = counts.columns = pd.Index(names)
    figure = draw_confusions({"a": counts})
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    below, left = figure.axes[0].get_xticklabels(), figure.axes[0].get_yticklabels()
    assert [text.get_text() for text in below] == [str(number) for number in range(1, 10)]
    assert [" ".join(text.get_text().split()) for text in left] == [
        f"{name} {number}" for number, name in enumerate(names, 1)
    ]
    boxes = [text.get_window_extent() for text in left]
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))
