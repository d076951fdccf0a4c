"""Groups that the paths of images suggest."""

from __future__ import annotations

import numpy as np
import pytest

from simclr_steps.data.groups import groups_in
from simclr_steps.data.likely_groups import likely_pattern, look_like_groups
from simclr_steps.settings.base import NO_LABEL


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("ill/Patient-{}_{}.png", "Patient-0"),
        ("plate{}/w{}.tif", "plate0"),
        ("a_slide_{}_{}.tif", "slide_0"),
        ("cells/{}/{}.tif", "0"),
    ],
)
def test_names_of_patients_plates_and_folders_are_found(path: str, first: str) -> None:
    paths = [path.format(number % 6, number) for number in range(24)]
    found = likely_pattern(paths, np.full(24, NO_LABEL))
    assert found is not None
    pattern, groups = found
    assert len(groups) == 6 and groups[0] == first
    assert groups_in(paths, pattern).tolist()[:1] == [first]


@pytest.mark.parametrize(
    "path",
    [
        "IMG_{1}.png",
        "showcase{0}_{1}.png",  # ends with another word
        "patient{1}.png",  # one image each
        "class{0}/{1}.png",
    ],
)
def test_other_paths_suggest_nothing(path: str) -> None:
    paths = [path.format(number % 6, number) for number in range(24)]
    assert likely_pattern(paths, np.arange(24) % 6) is None


def test_classes_are_no_groups() -> None:
    paths = [f"train/animal{number % 6}/{number}.png" for number in range(24)]
    assert likely_pattern(paths, np.arange(24) % 6) is None


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["plate1", "plate 2"], True),
        (["Patient-01"], True),
        (["plate1", "cat"], False),
        (["cat", "dog"], False),
        ([], False),
    ],
)
def test_classes_that_are_all_named_as_groups_look_like_them(classes: list[str], expected: bool) -> None:
    assert look_like_groups(classes) is expected


def test_a_path_without_a_group_refutes_them() -> None:
    paths = [*(f"plate{number % 6}_{number}.png" for number in range(24)), "other.png"]
    assert likely_pattern(paths, np.full(25, NO_LABEL)) is None
