"""Groups are named by a column or by a pattern, and no draw parts them."""

from __future__ import annotations

import logging
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import ValidationError

from simclr_steps.data.groups import groups_in, nearest_share
from simclr_steps.data.packed import Description, read_split
from simclr_steps.data.splits import Labels, assign_splits, stratified_draw
from simclr_steps.evaluation.neighbors import knn_accuracy
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.labels import WholeGroups
from tests.unit.packing import pack_and_label

NO_SPLITS = {"validation_fraction": 0.0, "test_fraction": 0.0}


def prepared(path: Path, out: Path, **changed: Any) -> Description:
    block = {"source": "folder", "path": str(path), "image_size": 8, "channels": 1, **changed}
    return pack_and_label(block, out)


def table(folder: Path, rows: list[dict[str, str]], images: np.ndarray | None = None) -> Path:
    """Write a CSV file of these cells, with an image of its own for each row."""
    folder.mkdir(exist_ok=True)
    if images is None:
        images = np.random.default_rng(0).integers(0, 256, size=(len(rows), 8, 8), dtype=np.uint8)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}.png")
    cells = [{"path": f"{number}.png", **row} for number, row in enumerate(rows)]
    pd.DataFrame(cells).to_csv(folder / "images.csv", index=False)
    return folder / "images.csv"


def groups_of(folder: Path) -> dict[str, list[str]]:
    """Return the groups of each split that has images."""
    rows = {file.name.split(".")[0]: pd.read_parquet(file) for file in folder.glob("*.rows.parquet")}
    return {split: rows["group"].tolist() for split, rows in rows.items() if len(rows)}


def patients(count: int) -> list[dict[str, str]]:
    """Return cells of three to seven images of each patient, who is of one of two classes, or of none."""
    return [
        {"label": ("ill", "well", "ill", "well", "")[patient % 5], "group": f"p{patient}, a"}
        for patient in range(count)
        for _ in range(3 + patient % 5)
    ]


def test_a_column_names_the_groups_which_are_whole_in_every_split_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "simclr_steps")
    description = prepared(table(tmp_path / "photos", patients(40)), tmp_path / "packed", subset=60)
    groups = groups_of(tmp_path / "packed")
    assert set(groups) == {"train", "validation", "test"}
    trained_on = set(groups["train"])
    assert not trained_on & set(groups["validation"]) and not trained_on & set(groups["test"])
    assert not set(groups["validation"]) & set(groups["test"])
    rows = pd.read_parquet(tmp_path / "packed/train.rows.parquet")
    groups["train"] = rows["group"][rows["label"].notna()].tolist()
    groups["unlabeled"] = rows["group"][rows["label"].isna()].tolist()
    assert {split: len(set(names)) for split, names in groups.items()} == {
        split: counts.groups for split, counts in description.splits.items()
    }
    (line,) = [line for line in caplog.messages if line.startswith("test takes")]
    assert "of 32 groups" in line and "% of the images (asked: 20.0 %), between" in line and "of each class" in line


def test_a_pattern_names_the_groups_by_the_path_below_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "slide9_photos"
    for number in range(24):
        (folder / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        image = Image.new("L", (8, 8), number)
        image.save(folder / "ab"[number % 2] / f"slide{number // 4}_{number}.png")
    description = prepared(folder, tmp_path / "packed", group_pattern=r"slide(\d+)_")
    groups = groups_of(tmp_path / "packed")
    assert sorted(name for names in groups.values() for name in set(names)) == list("012345")
    assert [description.splits[split].groups for split in ("train", "validation", "test")] == [4, 1, 1]


def test_without_groups_rows_have_no_such_column(tmp_path: Path) -> None:
    rows = [{"label": row["label"]} for row in patients(10)]
    description = prepared(table(tmp_path / "photos", rows), tmp_path / "packed")
    assert list(pd.read_parquet(tmp_path / "packed/train.rows.parquet")) == ["row", "source", "label"]
    assert description.splits["train"].groups is None


@pytest.mark.parametrize("kind", [np.int64, np.str_])
def test_arrays_name_the_groups_of_every_split(tmp_path: Path, kind: type) -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(60, 8, 8), dtype=np.uint8)
    arrays: dict[str, np.ndarray] = {
        "train_images": images[:50],
        "train_labels": np.arange(50) % 2,
        "train_groups": np.arange(50) // 5,
    }
    arrays |= {"unlabeled_images": images[50:], "unlabeled_groups": np.arange(10) // 5 + 9}
    arrays = {name: array.astype(kind) if name.endswith("groups") else array for name, array in arrays.items()}
    block: dict[str, Any] = {"source": "arrays", "path": str(tmp_path / "arrays.npz")}

    def packed(**changed: np.ndarray | None) -> dict[str, list[str]]:
        given = {name: array for name, array in (arrays | changed).items() if array is not None}
        np.savez(tmp_path / "arrays.npz", **given)  # type: ignore[arg-type]
        pack_and_label(block, tmp_path / "packed")
        return groups_of(tmp_path / "packed")

    groups = packed()
    sides = [set(groups["train"]), set(groups["validation"]), set(groups["test"])]
    assert set.union(*sides) == {str(number) for number in range(11)} and sum(map(len, sides)) == 11
    with pytest.raises(UserError, match=r"^unlabeled_groups is missing, and train_groups is there: add it"):
        packed(unlabeled_groups=None)
    with pytest.raises(UserError, match=r"^train_groups is float64 but must be text or whole numbers: convert it"):
        packed(train_groups=np.arange(50) / 5)
    with pytest.raises(UserError, match=r"^train_groups names no group in row 7: give the image a group"):
        packed(train_groups=np.where(np.arange(50) == 7, "", "a"))
    with pytest.raises(UserError, match=r"^train_groups names no group in row 7: give the image a group"):
        packed(train_groups=np.where(np.arange(50) == 7, "NaN", "a"))
    with pytest.raises(UserError, match=r"^train_groups has shape \(3,\), but train_images has 50 images: fix one"):
        packed(train_groups=np.arange(3))
    with pytest.raises(UserError, match=r"^test_groups has no images to group: add test_images or remove it"):
        packed(test_groups=np.arange(3))


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("slide(", "group_pattern.*must be a valid regular expression, but slide\\( is not: missing \\)"),
        ("slide", "group_pattern.*must have one group in parentheses, but slide has 0"),
        ("(a)(b)", "group_pattern.*must have one group in parentheses, but \\(a\\)\\(b\\) has 2"),
    ],
)
def test_a_pattern_that_is_none_is_the_configs_mistake(tmp_path: Path, pattern: str, said: str) -> None:
    with pytest.raises(ValidationError, match=f"(?s){said}"):
        prepared(tmp_path, tmp_path / "packed", group_pattern=pattern)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("slide(.)", r"^group_pattern: slide\(.\) matches none of the paths, such as 0\.png: correct it"),
        (r"(1)", r"^group_pattern: \(1\) does not match \d+ of 50 paths, such as 0\.png: extend it"),
        (r"(1?)", r"^group_pattern: \(1\?\) does not match \d+ of 50 paths, such as 0\.png: extend it"),
        (r"(\d)", r"^group_pattern: .*images\.csv also has a group column: omit one of the two"),
    ],
)
def test_a_pattern_that_does_not_fit_the_paths_is_named(tmp_path: Path, pattern: str, said: str) -> None:
    rows = patients(10)
    if "column" not in said:
        rows = [{"label": row["label"]} for row in rows]
    with pytest.raises(UserError, match=said):
        prepared(table(tmp_path / "photos", rows), tmp_path / "packed", group_pattern=pattern)


@pytest.mark.parametrize(("without", "line"), [(0, 2), (7, 9)])
def test_a_line_without_a_group_is_named(tmp_path: Path, without: int, line: int) -> None:
    rows = patients(10)
    rows[without] = {**rows[without], "group": ""}
    with pytest.raises(UserError, match=rf"^path: .*images\.csv line {line} has no group, but others have one: fill"):
        prepared(table(tmp_path / "photos", rows), tmp_path / "packed")


def test_a_group_in_two_given_splits_is_an_error_that_names_three() -> None:
    splits = np.array(["train", "test"] * 5 + ["unlabeled", "train", "validation"])
    groups = np.array(["a", "a", "b", "b", "c", "c", "d", "d", "e", "f", "g", "g", "f2"])
    options: dict[str, Any] = {"subset": None, "seed": 0, **NO_SPLITS}
    said = (
        "^group: 4 groups are in more than one split .a in train and test, b in train and test, c in train and test, "
    )
    with pytest.raises(UserError, match=said + "and 1 more.: put all"):
        assign_splits(splits, np.zeros(13, np.int64), groups=groups, **options)
    assigned = assign_splits(splits[8:], np.zeros(5, np.int64), groups=groups[8:], **options)
    assert assigned.tolist() == np.where(splits == "unlabeled", "train", splits)[8:].tolist(), "both are trained on"


def assigned(labels: list[int], groups: list[str], **changed: Any) -> list[str]:
    options: dict[str, Any] = {"validation_fraction": 0.1, "test_fraction": 0.2, "subset": None, "seed": 0, **changed}
    splits = assign_splits(
        np.array(["train"] * len(labels)), np.array(labels, dtype=np.int64), groups=np.array(groups), **options
    )
    names: list[str] = splits.tolist()
    return names


def test_fewer_groups_than_splits_are_an_error_and_as_many_are_one_for_each() -> None:
    with pytest.raises(UserError, match=r"^group: 2 groups are too few for 3 splits: add .* or set validation_fr"):
        assigned([0, 1] * 6, ["a"] * 6 + ["b"] * 6)
    with pytest.raises(UserError, match=r"^group: 1 group is too few for 2 splits"):
        assigned([0, 1] * 6, ["a"] * 12, test_fraction=0.0)
    for seed in range(10):
        splits = assigned([0, 1] * 9, ["a"] * 14 + ["b"] * 2 + ["c"] * 2, seed=seed)
        assert splits[0] == "train" and {splits[14], splits[16]} == {"validation", "test"}


def test_classes_that_are_the_groups_are_an_error_and_one_of_them_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UserError, match=r"^group: each class is in a single group, so no class can be in both"):
        assigned([0] * 5 + [1] * 5 + [2] * 5, ["a"] * 5 + ["b"] * 5 + ["c"] * 5)
    rows = [*patients(20), *({"label": "rare", "group": "p1, a"} for _ in range(3))]
    prepared(table(tmp_path / "photos", rows), tmp_path / "packed")
    assert 'labels: each of these classes is in a single group ("rare"), so it cannot' in caplog.text
    assert pd.read_parquet(tmp_path / "packed/train.rows.parquet")["label"].eq("rare").sum() == 3, (
        "it is learned, not judged"
    )


def test_an_unlabeled_image_goes_where_its_group_goes() -> None:
    labels, groups = [0, 1, -1] * 20, [f"g{number // 3}" for number in range(60)]
    splits = assigned(labels, groups)
    for group in set(groups):
        sides = {
            split if split != "unlabeled" else "train"
            for split, name in zip(splits, groups, strict=True)
            if name == group
        }
        assert len(sides) == 1
    assert [splits.count(split) for split in ("test", "validation")] == [12, 6]


@pytest.mark.parametrize("is_of_one_class", [True, False])
def test_shares_are_nearer_than_those_of_scikit_learn(is_of_one_class: bool) -> None:
    from sklearn.model_selection import StratifiedGroupKFold

    generator = np.random.default_rng(0)
    groups = generator.choice(60, 2000, p=generator.dirichlet(np.ones(60)))
    labels: Labels = (
        generator.integers(4, size=60)[groups] if is_of_one_class else (groups + generator.integers(3, size=2000)) % 4
    )

    def deviation(taken: np.ndarray) -> float:
        counts = np.bincount(labels)
        return float(np.abs(np.bincount(labels[taken], minlength=4) / counts - 0.2).max())

    for seed in range(3):
        taken = nearest_share(labels, groups, 0.2, (seed,), most=58)
        assert not set(groups[taken]) & set(groups[~taken])
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(labels, labels, groups)
        assert deviation(taken) <= min(deviation(np.isin(np.arange(2000), fold)) for _, fold in folds)
    again, other = (nearest_share(labels, groups, 0.2, (seed,), most=58) for seed in (2, 3))
    assert np.array_equal(taken, again) and not np.array_equal(taken, other)


def test_a_budget_of_groups_takes_them_whole_with_each_class_and_less_is_part_of_more() -> None:
    generator = np.random.default_rng(0)
    groups = generator.permutation(np.repeat(np.arange(30), 10)).astype(np.str_)
    of_group = np.repeat([0, 1, 2, -1], [20, 6, 2, 2])  # and three images of a class that only group 5 has
    labels = of_group[groups.astype(int)]
    labels[np.flatnonzero(groups == "5")[:3]] = 3
    first = set()
    for seed in range(5):
        draws = [stratified_draw(labels, WholeGroups(groups=count), seed, groups) for count in range(4, 29)]
        for count, rows in enumerate(draws, start=4):
            names = set(groups[rows])
            assert len(names) == count and set(labels[rows]) == {0, 1, 2, 3}
            assert np.array_equal(rows, np.flatnonzero(np.isin(groups, list(names)) & (labels >= 0)))
        assert all(set(smaller) < set(larger) for smaller, larger in pairwise(draws))
        of_class = np.bincount(of_group[np.unique(groups[draws[10]]).astype(int)])
        assert np.abs(of_class - 14 * np.array([20, 6, 2]) / 28).max() <= 1.5, "each class's groups in their share"
        first.add(tuple(draws[0]))
    assert len(first) == 5
    with pytest.raises(UserError, match=r"^labels: {groups: 29} exceeds the 28 groups with labels: use fewer"):
        stratified_draw(labels, WholeGroups(groups=29), 0, groups)
    with pytest.raises(UserError, match=r"^labels: {groups: 2} takes groups that lack some of the 4 classes: use more"):
        stratified_draw(labels, WholeGroups(groups=2), 0, groups)
    with pytest.raises(
        UserError, match=r"^labels: {groups: 5} needs groups, which the images lack: add a column group"
    ):
        stratified_draw(labels, WholeGroups(groups=5), 0)


def test_with_groups_ignored_an_accuracy_is_inflated_and_with_groups_it_is_chance(tmp_path: Path) -> None:
    """The images of a group are near copies of one, and its label is random: there is nothing to learn."""
    generator = np.random.default_rng(1)
    of_group = generator.integers(30, 225, size=(60, 8, 8))
    group = np.repeat(np.arange(60), 8)
    images = (of_group[group] + generator.integers(-20, 21, size=(480, 8, 8))).astype(np.uint8)
    label = generator.permutation(np.arange(60) % 2)[group]
    rows = [{"label": f"c{label[row]}", "group": f"g{group[row]}"} for row in range(480)]

    def accuracy(named: str, rows: list[dict[str, str]]) -> float:
        prepared(table(tmp_path / named, rows, images), tmp_path / f"packed-{named}", test_fraction=0.4)
        train, test = (read_split(tmp_path / f"packed-{named}", split) for split in ("train", "test"))
        pixels = [split.images.reshape(len(split), -1).astype(np.float32) - 127 for split in (train, test)]
        return knn_accuracy(pixels[0], train.labels, pixels[1], test.labels, 1)

    assert accuracy("ignored", [{"label": row["label"]} for row in rows]) > 0.95
    assert 0.25 < accuracy("kept", rows) < 0.75


def test_a_pattern_that_never_ends_is_the_configs_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simclr_steps.data.groups._MOST_SECONDS", 0.2)
    listening = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(UserError, match=r"^group_pattern: \^\(a\+\)\+\$ takes more than 0\.2 s to search: remove rep"):
        groups_in(["a" * 60 + "0.png"], "^(a+)+$")
    assert groups_in(["a1.png"], "a(.)").tolist() == ["1"]
    assert signal.getsignal(signal.SIGVTALRM) == listening
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)
