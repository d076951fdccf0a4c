"""The accuracy per image of tiles, where the tiles of each image share a label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from simclr_steps.evaluation.parents import by_parent


def predictions(*images: tuple[str, int, list[float]], group: str | None = None) -> pd.DataFrame:
    """Return the rows of images, each with its label and the probability of class 1 for each of its tiles."""
    rows: list[dict[str, Any]] = []
    for parent, label, chances in images:
        for place, chance in enumerate(chances):
            row = {"label": label, "parent": parent, "x": str(place), "y": "0", "width": "8", "height": "8"}
            group_of_row = group + parent[0] if group else parent
            rows.append({**row, "chance": chance, "group": group_of_row})
    return pd.DataFrame(rows)


def of_parents(table: pd.DataFrame) -> dict[str, Any] | None:
    chance = table["chance"].to_numpy()
    found = by_parent(table, np.stack([1 - chance, chance], axis=1), table["label"].to_numpy(np.int64))
    return found.get("parents")


def test_the_class_of_an_image_is_that_of_the_largest_mean_probability() -> None:
    sure = predictions(
        ("a", 1, [0.4, 0.4, 0.9]), ("b", 0, [0.6, 0.6, 0.1]), ("c", 0, [0.9, 0.9]), ("d", 1, [0.1, 0.8, 0.8])
    )
    # where four of eleven tiles are right by themselves
    expected = {"images": 4, "accuracy": 3 / 4, "balanced_accuracy": 3 / 4, "effective_images": 4}
    assert of_parents(sure) == expected
    assert of_parents(sure.sample(frac=1, random_state=0)) == expected


def test_images_of_all_classes_count_alike_in_balanced_accuracy() -> None:
    images = [*((f"a{number}", 0, [0.1, 0.2]) for number in range(8)), ("b0", 1, [0.1, 0.2]), ("b1", 1, [0.9, 0.8])]
    found = of_parents(predictions(*images))
    assert found is not None and (found["accuracy"], found["balanced_accuracy"]) == (0.9, 0.75)
    assert found["effective_images"] == 6  # 10² / (8 (10 / 16)² + 2 (10 / 4)²) = 6.4


def test_images_of_one_group_are_not_independent() -> None:
    images = [(f"{name}{number}", 0, [0.1, name / 9]) for name in range(6) for number in range(2)]
    found = of_parents(predictions(*images, group="g"))
    assert found is not None and found["images"] == 12
    assert found["by_group"] == {"images": [2] * 6, "accuracy": [2] * 6}
    assert found["balanced_by_group"] == {"images": [2] * 6, "balanced_accuracy": [2] * 6}


@pytest.mark.parametrize(
    "table",
    [
        predictions(("a", 1, [0.4, 0.4])).drop(columns="parent"),
        predictions(("a", 1, [0.4]), ("b", 0, [0.4])),
        pd.concat([predictions(("a", 1, [0.4])), predictions(("a", 0, [0.4, 0.3]))]),
        predictions(("a", 1, [0.4, 0.4]))[:0],
    ],
)
def test_there_is_none_without_images_of_several_tiles_with_one_label(table: pd.DataFrame) -> None:
    assert of_parents(table) is None
