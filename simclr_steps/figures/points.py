"""Rows of a split as points in the plane, and how to tell their classes apart: by ten colors in ten shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simclr_steps.figures.plots import COLORS, NO_LABEL_COLOR

SHAPES = 10
DISTINCT = len(COLORS) * SHAPES  # classes; beyond, colors and shapes begin again


@dataclass(frozen=True)
class Group:
    """The points of one class, or those without a label."""

    label: int  # -1 for no label
    name: str
    color: str
    shape: int  # from 0 to 9


@dataclass(frozen=True)
class Points:
    """Rows of a split, drawn by one layer."""

    layer: str
    title: list[str]  # lines
    quality: list[str]  # lines: how far the picture can be trusted
    table: pd.DataFrame  # x, y, row, label and prediction (numbers, null where there is none), source
    classes: list[str]

    @property
    def labeled(self) -> bool:
        """Return whether any point has a label."""
        return bool(self.table["label"].notna().any())

    def groups(self) -> list[Group]:
        """Return the classes that occur, in the order of their labels and after those without one."""
        plain = NO_LABEL_COLOR if self.labeled else COLORS[0]
        return [
            Group(label, self.classes[label], COLORS[label % len(COLORS)], label // len(COLORS) % SHAPES)
            if label >= 0
            else Group(-1, "no label", plain, 0)
            for label in sorted(set(self.labels()))
        ]

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
    if quality.get("knn_accuracy_plane") is not None:
        lines.append(
            f"10-NN accuracy: {100 * quality['knn_accuracy_plane']:.1f} % in the plot, "
            f"{100 * quality['knn_accuracy_features']:.1f} % in feature space"
        )
    others = {"trustworthiness": "trustworthiness", "silhouette": "silhouette of the classes"}
    measured = [f"{name} {quality[key]:.2f}" for key, name in others.items() if quality.get(key) is not None]
    if measured:
        text = ", ".join(measured)
        lines.append(f"{text[0].upper()}{text[1:]} (1 is best)")
    return lines
