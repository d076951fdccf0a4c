"""What was seen of images, in sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from simclr_steps.data.first_look import look_at_files
from simclr_steps.data.seen_images import seen
from simclr_steps.data.splits import SplitNames

FEW = (
    "Few images: below some 60 there is little to learn from, and accuracies on so few mean next to nothing. "
    "Add some, of which most need no label, or start from given weights (docs/weights.md)."
)


def splits_of(*names: str) -> SplitNames:
    return np.array(names)


def test_a_folder_without_labels(tmp_path: Path) -> None:
    for number, size in enumerate([(30, 20), (50, 40), (40, 10)]):
        Image.new("RGB", size, (200, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "bad\n.png").write_bytes(b"nothing")
    assert list(seen(look_at_files(tmp_path), splits_of("train", "train", "validation", "test"))) == [
        "Images: 4, of which 4 were opened and 3 of these decoded, evenly spread.",
        "Size: 10 × 30 to 40 × 50 pixels, height × width, median 20 × 40.",
        "Values: color, uint8, nearly all from 0 to 200.",
        "Unreadable: 1 of those opened, such as bad\\n.png (it is damaged, or not one of JPEG, PNG, …).",
        "Classes: none; class folders, or a CSV file with the column label, would give them.",
        "Splits: train 2, validation 1, test 1 (validation, test drawn).",
        FEW,
    ]


def test_names_of_one_file_per_channel_are_told(tmp_path: Path) -> None:
    for name in ("a_G", "a_R", "b_G", "b_R"):
        Image.new("L", (8, 8)).save(tmp_path / f"{name}.png")
    lines = list(seen(look_at_files(tmp_path), splits_of(*["train"] * 4)))
    assert sum(line.startswith("Channels: names such as a_G.png, a_R.png suggest") for line in lines) == 1


def test_folders_that_are_named_as_groups_are_asked_about(tmp_path: Path) -> None:
    for plate in range(2):
        (tmp_path / f"Plate_{plate}").mkdir()
        for number in range(2):
            Image.new("L", (8, 8)).save(tmp_path / f"Plate_{plate}" / f"{number}.png")
    told = "Are these classes? Their names look like those of groups"
    assert sum(line.startswith(told) for line in seen(look_at_files(tmp_path), splits_of(*["train"] * 4))) == 1
    (tmp_path / "Plate_0").rename(tmp_path / "control")
    assert not any(line.startswith(told) for line in seen(look_at_files(tmp_path), splits_of(*["train"] * 4)))


def test_a_table_with_a_single_class_groups_and_columns(tmp_path: Path) -> None:
    for number in range(4):
        np.save(tmp_path / f"{number}.npy", np.full((8, 8), number / 8, dtype=np.float32))
    lines = [f"{number}.npy,{'' if number else 'x'},{'train' if number else 'test'},g{number},p" for number in range(4)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label,split,group,plate", *lines]))
    found = list(seen(look_at_files(tmp_path / "t.csv"), splits_of("test", "train", "train", "train")))
    assert found == [
        "Images: 4, of which 4 were opened, evenly spread.",
        "Size: 8 × 8 pixels, height × width.",
        "Values: gray, float32, nearly all from 0 to 0.375.",
        "Classes: 1: x (1), and 3 images without, which alone gives a classifier nothing to tell apart.",
        "Splits: train 3, validation 0, test 1 (as given).",
        FEW,
        "Groups: 4: g0, g1, g2 and 1 more; each is in one split.",
        "Further columns: plate. The key metadata takes a list of those that may be a batch effect, such as a plate.",
    ]
