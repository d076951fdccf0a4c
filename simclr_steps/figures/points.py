"""Rows of a split as points in the plane, and how to tell their classes apart: by ten colors in ten shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simclr_steps.figures.plots import COLORS, NO_LABEL_COLOR, RAMP

SHAPES = 10
DISTINCT = len(COLORS) * SHAPES  # classes; beyond, colors and shapes begin again


@dataclass(frozen=True)
class Group:
    """The points of one class or of another value, or those without."""

    label: int  # -1 for none
    name: str
    color: str
    shape: int  # from 0 to 9


@dataclass(frozen=True)
class Coloring:
    """What the colors of points stand for: their classes, or a column of the data set's table."""

    name: str
    names: list[str]  # of the values
    codes: list[int]  # a value's number for each point, -1 where there is none
    none: str = "unknown"  # how points without a value are called
    ranges: bool = False  # whether the values are at most ten ranges of numbers

    def groups(self) -> list[Group]:
        """Return the values that occur, in their order and after the points without one."""
        return [self._group(code) for code in sorted(set(self.codes))]

    def _group(self, code: int) -> Group:
        if code < 0:
            return Group(-1, self.none, NO_LABEL_COLOR if max(self.codes) >= 0 else COLORS[0], 0)
        if self.ranges:
            return Group(code, self.names[code], RAMP[code * (len(RAMP) - 1) // max(len(self.names) - 1, 1)], 0)
        return Group(code, self.names[code], COLORS[code % len(COLORS)], code // len(COLORS) % SHAPES)


@dataclass(frozen=True)
class Points:
    """Rows of a split, drawn by one layer."""

    layer: str
    title: list[str]  # lines
    quality: list[str]  # lines: how far the picture can be trusted
    table: pd.DataFrame  # x, y, row, label and prediction (numbers, null where there is none), source
    classes: list[str]
    columns: tuple[Coloring, ...] = ()  # by which they can be colored as well

    @property
    def labeled(self) -> bool:
        """Return whether any point has a label."""
        return bool(self.table["label"].notna().any())

    def groups(self) -> list[Group]:
        """Return the classes that occur, in the order of their labels and after those without one."""
        return self.by_class().groups()

    def by_class(self) -> Coloring:
        """Return the coloring by the classes."""
        return Coloring("class", self.classes, self.labels(), "no label")

    def labels(self) -> list[int]:
        """Return the label of each point, -1 where there is none."""
        return [int(label) for label in self.table["label"].fillna(-1)]


def shuffled(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the points in random order, so that no class lies on top of others; those without a label lie below."""
    order = np.random.default_rng(seed).permutation(len(table))
    return table.iloc[order].sort_values("label", key=lambda label: label.notna(), kind="stable")


def quality_lines(quality: Mapping[str, Any]) -> list[str]:
    """Say in words what quality.json holds of a layer."""
    lines = []
    for where, key in (("the plot", "knn_accuracy_plane"), ("feature space", "knn_accuracy_features")):
        if quality.get(key) is not None:
            line = f"10-NN accuracy in {where}: {100 * quality[key]:.1f} %"
            if "intervals" in quality:
                low, high = quality["intervals"][key]
                line += f" [{100 * low:.1f}, {100 * high:.1f}] of {quality['images']:,} images"
            lines.append(line)
    others = {"trustworthiness": "trustworthiness", "silhouette": "silhouette of the classes"}
    measured = [f"{name} {quality[key]:.2f}" for key, name in others.items() if quality.get(key) is not None]
    if measured:
        text = ", ".join(measured)
        lines.append(f"{text[0].upper()}{text[1:]} (1 is best)")
    return lines
