from __future__ import annotations

import logging
import os
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from simclr_steps.data.image_index import (
    COLUMNS,
    ImageFile,
    further_columns,
    index_folder,
    index_table,
    other_columns,
)
from simclr_steps.machine.errors import UserError


def put(folder: Path, *names: str) -> Path:
    """Write small images, each of a color of its own, or empty files of other kinds."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in (".png", ".jpg"):
            Image.new("RGB", (6, 6), (10 * number, 0, 0)).save(path)
        else:
            path.touch()
    return folder


def found(files: list[ImageFile]) -> list[tuple[str, str, str]]:
    return [(file.name, file.label, file.split) for file in files]


def test_sub_folders_are_classes_at_any_depth_and_images_beside_them_have_no_label(tmp_path: Path) -> None:
    folder = put(tmp_path, "cat/b.png", "cat/deep/a.jpg", "ant/x.PNG", "loose.png")
    assert found(index_folder(folder)) == [
        ("ant/x.PNG", "ant", "train"),
        ("cat/b.png", "cat", "train"),
        ("cat/deep/a.jpg", "cat", "train"),
        ("loose.png", "", "train"),
    ]


def test_folders_that_only_lead_back_are_no_classes(tmp_path: Path) -> None:
    folder = put(tmp_path, "train/cat/1.png", "val/cat/3.png")
    (folder / "links").mkdir()
    (folder / "links/up").symlink_to("..")
    (folder / "here").symlink_to(".")
    assert [label for _, label, _ in found(index_folder(folder))] == ["cat", "cat"]
    (folder / "links/up").unlink()
    with pytest.raises(UserError, match="named like a split, next to links"):
        index_folder(folder)


def test_sub_folders_named_like_splits_hold_classes(tmp_path: Path) -> None:
    folder = put(
        tmp_path, "train/cat/1.png", "train/2.png", "val/cat/3.png", "test/dog/4.png", "unlabeled/a/b/5.png", "6.png"
    )
    assert found(index_folder(folder)) == [
        ("6.png", "", "train"),
        ("test/dog/4.png", "dog", "test"),
        ("train/2.png", "", "train"),
        ("train/cat/1.png", "cat", "train"),
        ("unlabeled/a/b/5.png", "", "unlabeled"),
        ("val/cat/3.png", "cat", "validation"),
    ]


def test_splits_are_known_in_any_letter_case_and_valid_is_one(tmp_path: Path) -> None:
    folder = put(tmp_path, "Train/cat/1.png", "valid/cat/2.png", "TEST/cat/3.png", "Unlabelled/4.png")
    assert {(file.label, file.split) for file in index_folder(folder)} == {
        ("cat", "train"),
        ("cat", "validation"),
        ("cat", "test"),
        ("", "unlabeled"),
    }


def test_a_split_beside_another_folder_is_refused_as_both_cannot_be_meant(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"^path: .* contains train, named like a split, next to notes, which is not one: keep"
    ):
        index_folder(put(tmp_path, "train/1.png", "notes/2.png"))


def test_a_link_to_a_folder_around_it_brings_no_image_twice(tmp_path: Path) -> None:
    folder = put(tmp_path / "photos", *(f"{label}/{n}.png" for label in ("ant", "cat") for n in range(5)))
    for link, target in (("ant/up", ".."), ("cat/self", "."), ("cat/other", "../ant")):
        (folder / link).symlink_to(target)
    assert len(index_folder(folder)) == 10


def test_a_linked_folder_elsewhere_is_read(tmp_path: Path) -> None:
    put(tmp_path / "store", "1.png", "deep/2.png")
    folder = put(tmp_path / "photos", "ant/0.png")
    (folder / "cat").symlink_to(tmp_path / "store")
    assert [file.name for file in index_folder(folder)] == ["ant/0.png", "cat/1.png", "cat/deep/2.png"]


def test_a_name_that_is_no_text_is_named(tmp_path: Path) -> None:
    folder = put(tmp_path, "cat/1.png")
    (folder / "cat/1.png").rename(os.fsdecode(os.fsencode(folder / "cat") + b"/caf\xe9.png"))
    with pytest.raises(UserError, match=r"^path: the name of .*caf\\xe9\.png is not valid UTF-8: rename") as error:
        index_folder(folder)
    assert str(error.value).encode()


def test_hidden_files_and_other_files_are_ignored_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "simclr_steps")
    folder = put(tmp_path, "a/1.png", "a/.2.png", ".cache/3.png", "a/readme.txt", "a/clip.gif", "list.txt")
    assert [file.name for file in index_folder(folder)] == ["a/1.png"]
    assert "ignored 3 other files: 1 .gif, 2 .txt" in caplog.text


def test_an_empty_folder_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^path: {tmp_path} contains no images"):
        index_folder(put(tmp_path, "notes.txt"))


@pytest.mark.parametrize("layout", [("cat/1.png", "dog/readme.txt"), ("train/cat/1.png", "train/dog/x.txt")])
def test_a_class_without_images_is_named(tmp_path: Path, layout: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"^path: .*/dog contains no images"):
        index_folder(put(tmp_path, *layout))


def test_a_split_without_images_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^path: .*/unlabeled contains no images"):
        index_folder(put(tmp_path, "train/cat/1.png", "unlabeled/readme.txt"))


def write_table(tmp_path: Path, *lines: str) -> Path:
    put(tmp_path, "a.png", "sub/b.png", "c d.png", "d.png", "e.png")
    table = tmp_path / "images.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def test_a_table_gives_paths_labels_and_splits(tmp_path: Path) -> None:
    table = write_table(
        tmp_path,
        "label,path,split,note",
        "cat,a.png,train,x",
        f"dog,{tmp_path}/sub/b.png,val,",
        ",c d.png,TEST,",
        "cat,d.png,unlabelled,",
        "cat,e.png,,",
    )
    assert found(index_table(table)) == [
        ("a.png", "cat", "train"),
        (f"{tmp_path}/sub/b.png", "dog", "validation"),
        ("c d.png", "", "test"),
        ("d.png", "", "unlabeled"),
        ("e.png", "cat", "train"),
    ]


def test_a_table_needs_neither_labels_nor_splits_and_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    table = write_table(tmp_path, "\ufeffpath", "a.png")
    assert found(index_table(table)) == [("a.png", "", "train")]


def test_spaces_around_columns_names_do_not_count(tmp_path: Path) -> None:
    assert found(index_table(write_table(tmp_path, "path, label, split", "a.png, cat, test"))) == [
        ("a.png", "cat", "test")
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file,label", "a.png,cat"], "line 1 has no path column"),
        (["path", "a.png", "gone.png"], r"line 3 names gone\.png, which is missing"),
        (["path,split", "a.png,tets"], r'line 2 has the unknown split "tets"; did you mean "test"\?'),
        (["path,label", ",cat"], "line 2 has no path"),
        (["path,lable", "a.png,cat"], r'line 1 has the unknown column "lable"; did you mean "label"\?'),
        (["Path,label", "a.png,cat"], r'line 1 has the unknown column "Path"; did you mean "path"\?'),
        (["path,label,spilt", "a.png,cat,test"], r'line 1 has the unknown column "spilt"; did you mean "split"\?'),
        (["path,label", "a.png,cat", "e.png,", "./a.png,dog"], r"lists \./a\.png on line 2 and on line 4: keep one"),
        (["path", f"{'long' * 100}.png"], "line 2 names long.* which is missing"),
        (["path,label"], "lists no images"),
        (
            ["path,label", "a.png,a, b cat"],
            r'line 2 has a different number of cells \(3\) than line 1 \(2\): quote cells that contain ","',
        ),
        (["path,label", "a.png"], r"line 2 has a different number of cells \(1\) than line 1 \(2\)"),
        (["sep=;", "path;label", "a.png"], r"line 3 has a different number of cells \(1\) than line 2 \(2\)"),
        (["path,group", "a.png,1", "c d.png,NaN"], "line 3 has no group, but others have one"),
        (["path,group", "a.png,<NA>", "c d.png,1"], "line 2 has no group, but others have one"),
        (["path,group", "a.png,1", "c d.png,#N/A"], "line 3 has no group, but others have one"),
        (["path,label", "a.png,c\0at"], "line 2 contains a NUL character"),
        (["path", "a.png\0"], "line 2 contains a NUL character"),
        (["path,\0", "a.png,"], "line 1 contains a NUL character"),
        (["path,label,label", "a.png,cat,"], 'line 1 has the column "label" twice: keep one'),
    ],
)
def test_a_wrong_table_is_named_with_the_line(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(UserError, match=rf"^path: .*images\.csv {message}"):
        index_table(write_table(tmp_path, *lines))


def test_only_columns_that_are_asked_for_are_read(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    table = tmp_path / "images.csv"
    table.write_text("path,split,note\na.png,second,x\n")
    assert other_columns(table, ["path"]) == ["split", "note"]
    assert index_table(table, ["path"]) == [ImageFile("a.png", "", "train")]
    assert index_table(table, ["path"], ["note"]) == [ImageFile("a.png", "", "train", further=("x",))]


def test_further_columns_are_in_the_log_and_so_are_those_whose_names_results_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "a.png")
    table = tmp_path / "images.csv"
    table.write_text("path,label,plate,x,probability_cat,,Row\na.png,cat,1,2,3,4,5\n")
    with caplog.at_level(logging.INFO):
        assert further_columns(table, COLUMNS) == ["plate", "Row"]
    assert caplog.messages == [
        "columns left out: x, probability_cat (results have such columns of their own; rename them here)",
        "further columns, which go with the images into all results: plate, Row",
    ]


def test_a_table_that_is_no_text_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_bytes(b"path\n\xff\xfe\x00")
    with pytest.raises(UserError, match="is not a CSV file in UTF-8"):
        index_table(tmp_path / "images.csv")


def test_cells_that_pandas_reads_as_missing_are_so_in_labels_groups_and_further_columns_alike(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cells = ["nan", "NaN", "NA", "N/A", "n/a", "<NA>", "#N/A", "#NA", "None", "NULL", "null", "-", "none", "na", "?"]
    put(tmp_path, *(f"{number}.png" for number in range(len(cells))))
    lines = [f"{number}.png,{cell},{cell},{cell}" for number, cell in enumerate(cells)]
    table = write_table(tmp_path, "path,label,plate,site", *lines)
    as_pandas = pd.read_csv(table)["label"].fillna("").tolist()
    files = index_table(table, further=["plate", "site"])
    assert [file.label for file in files] == as_pandas and as_pandas[-4:] == ["-", "none", "na", "?"]
    assert [file.further for file in files] == [(cell, cell) for cell in as_pandas]
    (said,) = [line for line in caplog.messages if "missing" in line]
    for cell, read in zip(cells, as_pandas, strict=True):
        assert all((f'{column} "{cell}" (1)' in said) == (not read) for column in ("label", "plate", "site"))
    grouped = write_table(tmp_path, "path,group", *(f"{number}.png,{cell}" for number, cell in enumerate(cells[:9])))
    assert {file.group for file in index_table(grouped)} == {""}
    assert 'group "None" (1)' in caplog.text


def test_cells_of_columns_that_are_not_read_are_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, "a.png")
    index_table(write_table(tmp_path, "path,label,plate", "a.png,None,NA"), ["path"])
    assert not caplog.messages
