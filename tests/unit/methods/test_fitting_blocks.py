"""Sizes, splits and blocks that fit images."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from simclr_steps.data.first_look import FirstLook, look_at_files
from simclr_steps.machine.errors import UserError
from simclr_steps.methods.fitting_blocks import (
    dataset_block,
    finetune_blocks,
    fitting_size,
    fitting_splits,
    pretrain_block,
)
from simclr_steps.settings.sizes import Size


@pytest.mark.parametrize(
    ("sizes", "fitting"),
    [
        ([(28, 28)] * 9, (28, 28)),
        ([(32, 48)] * 9, (32, 48)),
        ([(2, 3)] * 9, (4, 4)),
        ([(300, 300), (310, 280), (400, 420)], (64, 64)),
        ([(300, 450)] * 9, (52, 80)),
        ([(450, 300)] * 9, (80, 52)),
        ([(300, 450), (450, 300)] * 9, (64, 64)),  # portrait and landscape
        ([(100, 2000)] * 9, (36, 112)),
        ([(30, 40), (50, 40), (200, 200)], (40, 40)),  # most are not made larger
        ([(40, 62), (40, 60)] * 9, (40, 60)),
    ],
)
def test_size(sizes: list[Size], fitting: Size) -> None:
    assert fitting_size(sizes, 64) == fitting


def look(folder: Path, count: int, size: Size = (20, 20), lines: str = "") -> FirstLook:
    Image.new("L", size).save(folder / "0.png")
    for number in range(1, count):
        (folder / f"{number}.png").unlink(missing_ok=True)
        os.link(folder / "0.png", folder / f"{number}.png")
    if not lines:
        return look_at_files(folder)
    (folder / "t.csv").write_text(lines)
    return look_at_files(folder / "t.csv")


@pytest.mark.parametrize(
    ("count", "keys", "sizes"), [(3, 0.0, (2, 0, 1)), (60, 0.2, (38, 10, 12)), (650, None, (468, 52, 130))]
)
def test_of_fewer_images_more_are_held_out(
    tmp_path: Path, count: int, keys: float | None, sizes: tuple[int, ...]
) -> None:
    splits, found = fitting_splits(look(tmp_path, count))
    assert found == ({} if keys is None else {"validation_fraction": keys})
    assert tuple(np.count_nonzero(splits == split) for split in ("train", "validation", "test")) == sizes


def test_two_groups_are_split_without_a_hold_out_and_one_is_refused(tmp_path: Path) -> None:
    lines = [f"{number}.png,{'ab'[number % 2]}" for number in range(8)]
    splits, keys = fitting_splits(look(tmp_path, 8, lines="\n".join(["path,group", *lines])))
    assert keys == {"validation_fraction": 0.0} and np.count_nonzero(splits == "train") == 4
    lines = [f"{number}.png,a" for number in range(8)]
    with pytest.raises(UserError, match="group: 1 group is too few for 2 splits: add images of more groups"):
        fitting_splits(look(tmp_path, 8, lines="\n".join(["path,group", *lines])))


def test_what_a_crop_loses_is_said(tmp_path: Path) -> None:
    block = list(dataset_block(look(tmp_path, 8, size=(30, 20)), "a b", (20, 20), {}))
    assert "# fit: pad # keeps the 33 % of the pixels that are cropped otherwise" in block
    assert yaml.safe_load("\n".join(block)) == {
        "source": "folder",
        "path": "a b",
        "image_size": 20,
        "channels": 1,
        "unreadable": "skip",
    }


def test_of_few_labels_all_are_used() -> None:
    few = yaml.safe_load("\n".join(finetune_blocks(np.array([0, 1] * 8))))
    many = yaml.safe_load("\n".join(finetune_blocks(np.array([0, 1] * 80))))
    assert few == {"pretrained": {"labels": 1.0}, "scratch": {"labels": 1.0, "init": "random"}}
    assert many["pretrained"] == {"labels": 0.3}


def test_gray_pictures_are_not_turned_over(tmp_path: Path) -> None:
    block = yaml.safe_load("\n".join(pretrain_block(look(tmp_path, 4), (20, 20), "imagenet")))
    assert block["augmentation"] == {"preset": "color"} and block["stem"] == "imagenet"
