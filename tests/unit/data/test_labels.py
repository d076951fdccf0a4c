"""What `label` says of labels that are likely not what the user means; each line is a kind of mistake."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from simclr_steps.data.packed import Description
from tests.unit.packing import pack_and_label


def put(folder: Path, *names: str) -> Path:
    """Write small images, each unlike the others."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), number).save(path)
    return folder


def prepared(path: Path, **changed: Any) -> Description:
    block = {"source": "folder", "path": str(path), "image_size": 4, "channels": 1, "split_seed": 3, **changed}
    out = path.parent / "packed"
    return pack_and_label(block, out)


def table(folder: Path, labels: list[str], splits: list[str] | None = None) -> Path:
    """Write a CSV file that gives each label to an image of its own."""
    put(folder, *(f"{number}.png" for number in range(len(labels))))
    given = splits or ["train"] * len(labels)
    lines = [f"{number}.png,{label},{split}" for number, (label, split) in enumerate(zip(labels, given, strict=True))]
    (folder / "images.csv").write_text("\n".join(["path,label,split", *lines, ""]))
    return folder / "images.csv"


CATS_AND_ANTS = ["cat", "ant"] * 10


@pytest.mark.parametrize(
    ("labels", "doubt"),
    [
        (
            [f"{1.5 * number}" for number in range(20)],
            'have 20 different labels ("0.0", .*measurements: gr',
        ),
        ([f"{1.5 * (number // 4)}" for number in range(80)], "80 labeled images have 20 .*measurements"),
        ([f"{number}" for number in range(20)], "20 labeled images have 20 .*measurements"),
        ([f"img_{number}" for number in range(20)], "20 labeled images have 20 .*names of individual images: group"),
        ([*CATS_AND_ANTS, "-", "none"], '"-", "none" is treated as a class: if it stands for a missing label'),
        ([*CATS_AND_ANTS, "Cat"], '"Cat", "cat" are 2 classes: if they are the same one, spell it the same way'),
        ([*CATS_AND_ANTS, "B\u00e4r", "Ba\u0308r"], '"Ba\u0308r", "B\u00e4r" are 2 classes: if they are the same one'),
        ([*CATS_AND_ANTS, "bumble bee", "bumble_bee"], '"bumble bee", "bumble_bee" are 2 classes'),
        (["cat"] * 20, 'all 20 labeled images are of one class, "cat": label images of other classes'),
    ],
)
def test_labels_that_are_no_classes_are_doubted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, labels: list[str], doubt: str
) -> None:
    prepared(table(tmp_path / "photos", labels))
    (warning,) = [line for line in caplog.messages if "validation" not in line and "test" not in line]
    assert re.search(rf"^labels: .*{doubt}".replace("(", r"\("), warning), warning


@pytest.mark.parametrize("split", ["test", "val"])
def test_classes_that_are_judged_and_not_trained_on_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, split: str
) -> None:
    labels, splits = [*CATS_AND_ANTS, "cats", "cat"], ["train"] * 20 + [split] * 2
    prepared(table(tmp_path / "photos", labels, splits), validation_fraction=0, test_fraction=0)
    assert re.search(r'classes in (test|validation) .*\("cats"\): is "cats" meant to be "cat"\?', caplog.text)


def test_each_class_that_is_not_trained_on_is_named_with_its_likely_cause(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen, judged = ["B\u00e4r", "\u00c4", "cat", "zebra", "dog"], ["Ba\u0308r", "A\u0308", "Cat", "zebar", "whale"]
    path = table(tmp_path / "photos", [*seen * 6, *judged], ["train"] * 30 + ["test"] * 5)
    prepared(path, validation_fraction=0)
    (line,) = [line for line in caplog.messages if "that no image in train has" in line]
    for name, meant in zip(judged[:4], seen, strict=False):
        assert f'is "{name}" meant to be "{meant}"?' in line, line
    assert '"whale"' in line and 'is "whale"' not in line


@pytest.mark.parametrize("empty", ["nan", "NaN", "<NA>", "#N/A", "None", "NULL"])
def test_what_programs_write_for_an_empty_cell_is_no_class(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, empty: str
) -> None:
    description = prepared(table(tmp_path / "photos", [*CATS_AND_ANTS, empty, empty]))
    assert description.classes == ["ant", "cat"]
    assert sum(split.images - split.labeled for split in description.splits.values()) == 2
    assert f'cells read as missing, as pandas does: label "{empty}" (2); rename those' in caplog.text


def test_a_folder_named_like_an_empty_cell_is_a_class_which_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = put(tmp_path / "photos", *(f"{name}/{k}.png" for name in ("ant", "None") for k in range(10)))
    assert prepared(folder).classes == ["None", "ant"]
    assert '"None" is treated as a class' in caplog.text


@pytest.mark.parametrize("inner", [("ant", "cat"), ("test", "train")])
def test_a_folder_too_many_around_the_classes_or_splits_is_found(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, inner: tuple[str, str]
) -> None:
    prepared(put(tmp_path / "photos", *(f"set/{name}/{k}.png" for name in inner for k in range(10))))
    listed = '"{}", "{}"'.format(*inner)
    assert f'are of one class, "set": if its subfolders ({listed}) are the classes or splits, put' in caplog.text


def test_named_classes_without_an_image_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images, labels = np.zeros((20, 4, 4), np.uint8), np.arange(20) % 2 + 1
    np.savez(tmp_path / "arrays.npz", train_images=images, train_labels=labels)
    block = {"source": "arrays", "path": str(tmp_path / "arrays.npz"), "classes": ["ant", "bee", "cat", "dog"]}
    pack_and_label(block, tmp_path / "packed")
    assert '2 of 4 classes have no image ("ant", "dog"): check how labels are numbered' in caplog.text


LEFTOVERS = ["__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"]


@pytest.mark.parametrize("layout", ["", "train/"])
@pytest.mark.parametrize("leftover", LEFTOVERS)
def test_folders_that_archives_and_file_servers_leave_are_no_classes(
    tmp_path: Path, layout: str, leftover: str
) -> None:
    images = [f"{layout}{name}/{k}.png" for name in ("ant", "cat") for k in range(10)]
    description = prepared(put(tmp_path / "photos", *images, f"{leftover}/1.png", f"{layout}ant/{leftover}/2.png"))
    assert description.classes == ["ant", "cat"]
    assert sum(split.images for split in description.splits.values()) == 20


def test_an_empty_leftover_stops_nothing(tmp_path: Path) -> None:
    folder = put(tmp_path / "photos", *(f"{name}/{k}.png" for name in ("ant", "cat") for k in range(10)))
    (folder / "__MACOSX" / "ant").mkdir(parents=True)
    assert prepared(folder).classes == ["ant", "cat"]


@pytest.mark.parametrize(
    "labels",
    [CATS_AND_ANTS, [str(k % 10) for k in range(40)], [str(k % 10 + 1) for k in range(40)], [""] * 20, [*"abc"] * 9],
)
def test_ordinary_labels_are_not_doubted(tmp_path: Path, caplog: pytest.LogCaptureFixture, labels: list[str]) -> None:
    caplog.set_level(logging.WARNING)
    prepared(table(tmp_path / "photos", labels))
    assert not caplog.messages


def test_a_class_that_no_group_of_a_split_has_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = table(tmp_path / "images", [*CATS_AND_ANTS, "cat"], ["train"] * 20 + ["val"])
    lines = file.read_text().splitlines()
    file.write_text(
        "\n".join([f"{lines[0]},group", *(f"{line},{line[:1]}x" for line in lines[1:-1]), f"{lines[-1]},y"])
    )
    prepared(file)
    assert 'no group in validation has images of "ant", so its accuracy says nothing about that' in caplog.text
