"""Rows of a split as points in the plane, and the colours of their classes."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from simclr_steps.plots import NO_LABEL_COLOUR, colours

MOST_IN_LEGEND = 120  # classes
ROWS_OF_LEGEND = 25


@dataclass(frozen=True)
class Points:
    """Rows of a split, drawn by one layer."""

    layer: str
    title: list[str]  # lines
    table: pd.DataFrame  # row, x, y, label and prediction (numbers, null where there is none), class, source
    classes: list[str]

    @property
    def labelled(self) -> bool:
        """Tell whether any point has a label."""
        return bool(self.table["label"].notna().any())

    def groups(self) -> list[tuple[str, str, pd.DataFrame]]:
        """Return name, colour and points of each class that occurs, those without a label first and so underneath."""
        label = self.table["label"]
        plain = NO_LABEL_COLOUR if self.labelled else colours(1)[0]
        groups = [("no label", plain, self.table[label.isna()])]
        for number, (name, colour) in enumerate(zip(self.classes, colours(len(self.classes)), strict=True)):
            groups.append((name, colour, self.table[label.eq(number).fillna(False)]))
        return [group for group in groups if len(group[2])]
