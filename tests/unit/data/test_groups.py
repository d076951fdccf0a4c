"""Groups are named by a column, an array or a pattern, and a share is taken of whole ones."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import ValidationError

from simclr_steps.data.groups import groups_in, nearest_share
from simclr_steps.data.packed import Description
from simclr_steps.data.splits import Labels
from simclr_steps.machine.errors import UserError
from tests.unit.packing import pack_and_label


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


def test_a_pattern_that_never_ends_is_the_configs_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simclr_steps.data.groups._MOST_SECONDS", 0.2)
    listening = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(UserError, match=r"^group_pattern: \^\(a\+\)\+\$ takes more than 0\.2 s to search: remove rep"):
        groups_in(["a" * 60 + "0.png"], "^(a+)+$")
    assert groups_in(["a1.png"], "a(.)").tolist() == ["1"]
    assert signal.getsignal(signal.SIGVTALRM) == listening
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)
