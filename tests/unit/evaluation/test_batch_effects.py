"""What features tell of a column is told from chance, which shuffled values show."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from simclr_steps.data.columns import column_of
from simclr_steps.evaluation.batch_effects import predictability
from simclr_steps.summary.intervals import ByGroup, interval

GROUPS = np.repeat(np.arange(60), 10)  # fields, five on each plate
PLATES = GROUPS // 5


def features(plate: float = 0.0, field: float = 0.0, seed: int = 1) -> npt.NDArray[np.float32]:
    """Return noise with an offset of each plate and of each field, as strong as asked."""
    random = np.random.default_rng(seed)
    offsets = plate * random.normal(size=(12, 16))[PLATES] + field * random.normal(size=(60, 16))[GROUPS]
    return (random.normal(size=(600, 16)) + offsets).astype(np.float32)


def judged(values: npt.NDArray[np.float32], cells: Any, groups: Any = GROUPS) -> dict[str, Any]:
    named = None if groups is None else np.array([f"f{group}" for group in groups])
    return predictability(values, column_of("plate", [str(cell) for cell in cells]), named)


def is_found(one: dict[str, Any]) -> bool:
    by_group = one.get("by_group")
    of_groups = ByGroup(np.array(by_group["images"]), np.array(by_group["accuracy"])) if by_group else None
    low, _ = interval(one["accuracy"], one["images"], of_groups)
    return bool(low > one["chance_most"])


def test_an_offset_of_the_plates_is_found_and_noise_is_at_chance() -> None:
    found = judged(features(plate=1), PLATES)
    assert is_found(found) and found["accuracy"] > 0.5 and found["values"] == 12
    noise = [judged(features(seed=seed), PLATES) for seed in range(6)]
    assert not any(map(is_found, noise))
    chance, accuracy = (np.mean([one[key] for one in noise]) for key in ("chance", "accuracy"))
    assert accuracy == pytest.approx(chance, abs=0.015)
    assert chance < noise[0]["most_frequent"] == 1 / 12, "an image of its own field cannot vote for its plate"


def test_images_of_a_field_that_look_alike_are_no_effect_of_its_plate() -> None:
    values = features(field=2)
    assert not is_found(judged(values, PLATES)), "images of one field do not vote for each other"
    assert is_found(judged(values, PLATES, None)), "without groups nothing says that a field is one"


def test_a_column_that_is_the_group_itself_is_judged_among_all_images() -> None:
    one = judged(features(plate=1), PLATES, PLATES)
    assert is_found(one) and not one["groups_vote_apart"]
    assert one["accuracy"] == judged(features(plate=1), PLATES, None)["accuracy"]


def test_without_groups_the_accuracy_is_scikit_learns_and_missing_values_are_left_out() -> None:
    values, cells = features(plate=0.5), np.where(np.arange(600) % 7 == 0, "", PLATES.astype(str))
    one = judged(values, cells, None)
    model = KNeighborsClassifier(10, metric="cosine")
    known = cells != ""
    codes = column_of("plate", cells[known].tolist()).codes
    expected = cross_val_score(model, values[known], codes, cv=LeaveOneOut()).mean()
    assert one["images"] == known.sum() and one["accuracy"] == pytest.approx(expected, abs=1e-9)


def test_a_group_that_is_nearly_all_images_leaves_those_that_vote() -> None:
    groups = np.where(np.arange(600) < 595, 0, 1)
    one = judged(features(), np.arange(600) % 2, groups)
    assert 0 <= one["accuracy"] <= 1 and one["groups_vote_apart"]
    assert one["accuracy"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("fields", "plates", "cases"),
    [
        ("ABCDEFGH", "00001111", 35),  # half of the 70 ways to choose four of eight
        ("ABCDEFGH", "00000111", 56),
        ("ABCDEF", "001122", 15),
        ("ABCDEFGHIJ", "0000011111", 126),
    ],
)
def test_the_least_p_value_is_one_of_as_many_cases_as_shuffles_tell_apart(fields: str, plates: str, cases: int) -> None:
    groups = np.repeat(np.arange(len(fields)), 20)
    cells = np.repeat(list(plates), 20)
    values = np.random.default_rng(0).normal(size=(len(cells), 8)).astype(np.float32)
    one = judged(values, cells, groups)
    assert one["shuffled"] == len(fields) and one["least_p"] == pytest.approx(1 / cases)


def test_images_that_are_shuffled_by_themselves_are_enough() -> None:
    one = judged(features(), PLATES, None)
    assert one["shuffled"] == 600 and one["least_p"] < 1e-100
