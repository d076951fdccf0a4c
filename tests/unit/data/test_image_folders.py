from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from simclr_steps.data.image_folders import ImageFile, index_folder, index_table, read_folder
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import FolderDataset


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


def block(path: Path, **changed: Any) -> FolderDataset:
    return FolderDataset.model_validate({"source": "folder", "path": str(path), "image_size": 6, **changed})


def test_sub_folders_are_classes_at_any_depth_and_images_beside_them_have_no_label(tmp_path: Path) -> None:
    folder = put(tmp_path, "cat/b.png", "cat/deep/a.jpg", "ant/x.PNG", "loose.png")
    assert found(index_folder(folder)) == [
        ("ant/x.PNG", "ant", "train"),
        ("cat/b.png", "cat", "train"),
        ("cat/deep/a.jpg", "cat", "train"),
        ("loose.png", "", "train"),
    ]


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


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^path: .*absent does not exist"):
        read_folder(block(tmp_path / "absent"), workers=1)


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


def test_columns_that_nothing_uses_are_in_the_log_and_only_those_asked_for_are_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "a.png")
    (tmp_path / "images.csv").write_text("path,split,note\na.png,second,x\n")
    with caplog.at_level(logging.INFO):
        assert found(index_table(tmp_path / "images.csv", ["path"])) == [("a.png", "", "train")]
    assert caplog.messages == ["unused columns: split, note"]


def test_a_table_that_is_no_text_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_bytes(b"path\n\xff\xfe\x00")
    with pytest.raises(UserError, match="is not a CSV file in UTF-8"):
        index_table(tmp_path / "images.csv")


def test_wanted_rows_alone_are_decoded_in_order(tmp_path: Path) -> None:
    folder = put(tmp_path, *(f"{label}/{number}.png" for label in "ba" for number in range(4)))
    (folder / "a" / "3.png").write_bytes(b"damaged")
    source = read_folder(block(folder), workers=1)
    assert source.classes == ["a", "b"]
    assert source.labels.tolist() == [0] * 4 + [1] * 4
    ((rows, images),) = source.read(np.array([0, 2, 5, 7]))
    assert rows.tolist() == [0, 2, 5, 7]
    assert images[:, 0, 0, 0].tolist() == [40, 60, 10, 30]


def test_an_unreadable_image_stops_and_is_named(tmp_path: Path) -> None:
    folder = put(tmp_path, "a/1.png", "a/2.png")
    (folder / "a" / "2.png").write_bytes((folder / "a" / "2.png").read_bytes()[:50])
    with pytest.raises(UserError, match=r"a/2\.png is unreadable .*`unreadable: skip`"):
        list(read_folder(block(folder), workers=1).read(np.arange(2)))


def test_an_unreadable_image_is_left_out_if_asked(tmp_path: Path) -> None:
    folder = put(tmp_path, "a/1.png", "a/2.png", "a/3.png")
    (folder / "a" / "2.png").write_bytes(b"damaged")
    ((rows, images),) = read_folder(block(folder, unreadable="skip"), workers=1).read(np.arange(3))
    assert rows.tolist() == [0, 2]
    assert len(images) == 2


def write_channels(folder: Path, *, images: int = 6, channels: str = "ABC", dtype: Any = np.uint16) -> Path:
    """Write images with a file for each channel, and a table of them with a column for each."""
    generator = np.random.default_rng(0)
    lines = ["label," + ",".join(f"path.{channel}" for channel in channels)]
    for image in range(images):
        names = [f"{image}_{channel}.png" for channel in channels]
        for name in names:
            Image.fromarray(generator.integers(0, 4096, (12, 12)).astype(dtype)).save(folder / name)
        lines.append("ab"[image % 2] + "," + ",".join(names))
    (folder / "table.csv").write_text("\n".join(lines))
    return folder / "table.csv"


def test_a_table_may_name_a_file_for_each_channel(tmp_path: Path) -> None:
    table = write_channels(tmp_path)
    source = read_folder(block(table, image_size=12), 1)
    assert source.reading.channel_names == ["A", "B", "C"] and source.dtype == "uint16"
    assert source.names == [f"{image}_A.png" for image in range(6)]
    ((_, whole),) = source.read(np.arange(6))
    for image in range(6):
        for channel, name in enumerate("ABC"):
            written = np.asarray(Image.open(tmp_path / f"{image}_{name}.png"))
            assert np.array_equal(whole[image, ..., channel], written)
    chosen = read_folder(block(table, image_size=12, channels=["C", "A"]), 1)
    ((_, two),) = chosen.read(np.arange(6))
    assert chosen.reading.channel_names == ["C", "A"] and np.array_equal(two, whole[..., [2, 0]])


@pytest.mark.parametrize("columns", ["Path.A,Path.B", "path.B,Path.A", "Path.A,PATH.B"])
def test_a_column_of_a_channel_in_capital_letters_is_named(tmp_path: Path, columns: str) -> None:
    table = write_table(tmp_path, columns, "a.png,c d.png")
    with pytest.raises(UserError, match=r'line 1 has the unknown column "Path\.A"; did you mean "path\.A"\?'):
        read_folder(block(table, channels=2), 1)


def test_channels_that_a_table_does_not_have_are_named(tmp_path: Path) -> None:
    table = write_channels(tmp_path)
    with pytest.raises(UserError, match=r'channels: .* has no column "path\.D"; available: A, B, C'):
        read_folder(block(table, channels=["A", "D"]), 1)
    with pytest.raises(UserError, match=r"files of 3 channels, but 5 are asked for: write `channels: \[A, B, C\]`"):
        read_folder(block(table, channels=5), 1)
    (tmp_path / "2_B.png").unlink()
    with pytest.raises(UserError, match=r"line 4 names 2_B\.png, which is missing"):
        read_folder(block(table), 1)
    table.write_text(table.read_text().replace("2_B.png", ""))
    with pytest.raises(UserError, match=r"line 4 has no path\.B: fill it in"):
        read_folder(block(table), 1)
    table.write_text("path,path.A\n0_A.png,0_A.png")
    with pytest.raises(UserError, match=r"has the columns path and path\.A: keep one or the other"):
        read_folder(block(table), 1)


@pytest.mark.parametrize("skip", [False, True])
def test_images_of_different_depths_or_channels_are_two_named(tmp_path: Path, skip: bool) -> None:
    for number, dtype in enumerate([np.uint8, np.uint8, np.uint16]):
        Image.fromarray(np.full((12, 12), number, dtype=dtype)).save(tmp_path / f"{number}.png")
    unreadable = "skip" if skip else "stop"
    source = read_folder(block(tmp_path, unreadable=unreadable), 1)
    with pytest.raises(UserError, match=r"0\.png has uint8 values and .*2\.png uint16: convert one of them"):
        list(source.read(np.arange(3)))
    for number, channels in enumerate([5, 5, 4]):
        (tmp_path / f"{number}.png").unlink()
        tifffile.imwrite(
            tmp_path / f"{number}.ome.tif", np.zeros((channels, 12, 12), np.uint16), metadata={"axes": "CYX"}
        )
    with pytest.raises(UserError, match=r"channels: .*0\.ome\.tif has 5 channels, but 4 are asked for"):
        read_folder(block(tmp_path, channels=4, unreadable=unreadable), 1)
    source = read_folder(block(tmp_path, channels=5, unreadable=unreadable), 1)
    with pytest.raises(UserError, match=r"0\.ome\.tif has 5 channels and .*2\.ome\.tif 4: make them equal"):
        list(source.read(np.arange(3)))


def test_the_log_says_which_share_of_the_pixels_falls_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, shape in enumerate([(12, 12), (12, 24), (48, 12)]):  # none, a half and three quarters
        Image.fromarray(np.zeros(shape, dtype=np.uint8)).save(tmp_path / f"{number}.png")
    with caplog.at_level(logging.INFO):
        list(read_folder(block(tmp_path), 1).read(np.arange(3)))
        assert "41.7 % of the pixels fall off at the images' edges: `fit: pad` keeps them" in caplog.text
        caplog.clear()
        ((_, padded),) = read_folder(block(tmp_path, fit="pad", image_size=[12, 20]), 1).read(np.arange(3))
    assert "fall off" not in caplog.text and padded.shape == (3, 12, 20, 3)


def test_an_image_whose_values_are_too_large_for_a_range_is_unreadable(tmp_path: Path) -> None:
    folder = tmp_path / "stripes"
    folder.mkdir()
    stripes = np.tile(np.array([0, 1] * 8, dtype=np.float32), (8, 1))
    np.save(folder / "a.npy", stripes)
    np.save(folder / "b.npy", stripes * np.float32(3.4e38))  # which leaves the range of float32 when it is resized
    with pytest.raises(UserError, match=r"b\.npy is unreadable \(\d+ of its 36 values are beyond 3\.4e\+37"):
        list(read_folder(block(folder, channels=1), workers=1).read(np.arange(2)))
    ((rows, _),) = read_folder(block(folder, channels=1, unreadable="skip"), workers=1).read(np.arange(2))
    assert rows.tolist() == [0]
