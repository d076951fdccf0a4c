"""Points in the plane, and images for them, to draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from simclr_steps.figures.points import Coloring, Points, shuffled


def points(classes: int, unlabeled: float = 0.0, names: str = "class {}", count: int = 400) -> Points:
    random = np.random.default_rng(0)
    labels = pd.Series(np.arange(count) % max(classes, 1), dtype="Int64").mask(random.random(count) < unlabeled)
    if not classes:
        labels = labels.mask(labels.notna())
    x, y = random.normal(size=(2, count))
    sources = [f"/photos/of/all/{row}.png" for row in range(count)]
    table = pd.DataFrame({"row": range(count), "x": x, "y": y, "label": labels, "source": sources})
    table["prediction"] = table["label"].where(random.random(count) > 0.1, (table["label"] + 1) % max(classes, 1))
    quality = [
        "10-NN accuracy in the plot: 93.1 % [92.9, 93.3] of 1,000,000 images",
        "10-NN accuracy in feature space: 97.2 % [97.1, 97.3] of 1,000,000 images",
        "Trustworthiness 0.98, silhouette of the classes 0.71 (1 is best)",
    ]
    title = ["Title", "and a second line"]
    return Points("backbone", title, quality, shuffled(table, 0), [names.format(number) for number in range(classes)])


def colored(some: Points, *names: str) -> Points:
    """Return points with columns: one that tells left from right, or ranges of the height, and lacks some values."""
    side = (some.table["x"] > 0).astype(int).mask(some.table["row"] % 10 == 0, -1).tolist()
    height = pd.qcut(some.table["y"], 10, labels=False).tolist()
    values = ["left <i>@row", "right"], [f"{number} to {number + 1}" for number in range(10)]
    columns = [Coloring(name, values[0], side) for name in names[:-1]]
    return replace(some, columns=(*columns, Coloring(names[-1], values[1], height, ranges=True)))


def tiles(count: int = 400, side: int = 4) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (count, side, side, 3)).astype(np.uint8)
