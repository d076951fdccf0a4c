from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simclr_steps.data.numpy_files import read_arrays
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import ArraysDataset

RANDOM = np.random.default_rng(0)


def images(count: int, *shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return RANDOM.integers(0, 256, (count, *shape), dtype=np.uint8)


def store(tmp_path: Path, kind: str, **arrays: Any) -> Path:
    if kind == "npz":
        np.savez(tmp_path / "data.npz", **arrays)
        return tmp_path / "data.npz"
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    return tmp_path


def block(path: Path, **changed: Any) -> ArraysDataset:
    return ArraysDataset.model_validate({"source": "arrays", "path": str(path), **changed})


@pytest.mark.parametrize("kind", ["npz", "npy"])
def test_all_arrays_are_read_with_their_labels(tmp_path: Path, kind: str) -> None:
    train, test, more = images(20, 5, 7), np.asfortranarray(images(6, 5, 7, 1)), images(4, 5, 7)
    labels = np.arange(20, dtype=np.uint8) % 3
    path = store(
        tmp_path,
        kind,
        train_images=train,
        train_labels=labels,
        test_images=test,
        test_labels=np.array([0, 1, 2, -1, 1, 0], dtype=np.int32),
        unlabeled_images=more,
    )
    source = read_arrays(block(path, classes=["a", "b", "c"]))
    assert (*source.reading.size, source.reading.channels, source.classes) == (5, 7, 1, ["a", "b", "c"])
    assert source.splits.tolist() == ["train"] * 20 + ["test"] * 6 + ["unlabeled"] * 4
    assert source.labels.tolist() == [*labels.tolist(), 0, 1, 2, -1, 1, 0, -1, -1, -1, -1]
    assert source.names[21] == "test/1"
    read = np.concatenate([part for _, part in source.read(np.arange(30))])
    assert np.array_equal(read[..., 0], np.concatenate([train, test[..., 0], more]))
    ((rows, part), (last, _)) = source.read(np.array([3, 19, 20]))
    assert (rows.tolist(), last.tolist()) == ([3, 19], [20])
    assert np.array_equal(part[..., 0], train[[3, 19]])


def test_classes_are_named_by_number_and_none_without_labels(tmp_path: Path) -> None:
    path = store(tmp_path, "npz", train_images=images(4, 8, 8, 3), train_labels=np.array([3, 0, -1, 1]))
    assert read_arrays(block(path)).classes == ["0", "1", "2", "3"]
    path = store(tmp_path, "npz", train_images=images(4, 8, 8, 3))
    source = read_arrays(block(path, classes=["a"]))
    assert source.classes == []
    assert source.labels.tolist() == [-1] * 4


GOOD = {"train_images": images(6, 8, 8), "train_labels": np.array([0, 1, 0, 1, 0, 1])}


@pytest.mark.parametrize("kind", ["npz", "npy"])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_labels": np.zeros(5, dtype=int)}, r"train_labels has shape \(5,\), but train_images has 6 images"),
        ({"train_labels": np.zeros((6, 1), dtype=int)}, r"train_labels has shape \(6, 1\)"),
        ({"train_images": images(6, 8, 8) / 255}, "train_images is float64 but must be uint8, uint16 or float32"),
        ({"train_images": images(6, 3, 8, 8)}, "train_images has shape .* move its axes"),
        ({"train_images": images(6, 64)}, "train_images has shape .* reshape it"),
        ({"train_images": images(8, 8, 3, 6)}, "train_images has shape .* move its axes"),
        ({"train_labels": np.array([1, 2, 1, 2, 1, 2])}, "the label 2, but classes has only 2 names: count from 0"),
        ({"train_labels": np.array([0, 1, 0, 7, 0, 1])}, "the label 7, but .* add more, or number the labels from 0"),
        ({"test_images": images(2, 9, 8)}, r"test_images has images of \(9, 8, 1\) and train_images of \(8, 8, 1\)"),
        ({"train_labels": np.array([0, 1, 0, 1, 0, -2])}, "train_labels has the label -2"),
        ({"train_labels": np.array([0, 1, 0, 1, 0, 2])}, "train_labels has the label 2, but classes has only 2 names"),
        (
            {"train_labels": np.array([0, 1, 0, 1, 0, 2**64 - 1], dtype=np.uint64)},
            "train_labels has the label 18,446,744,073,709,551,615, which is no class: count from 0",
        ),
        ({"train_labels": np.zeros(6)}, "train_labels is float64 but must be whole numbers"),
        ({"trian_images": images(2, 8, 8)}, 'contains an array "trian_images"; did you mean "train_images"'),
        ({"test_labels": np.zeros(2, dtype=int)}, "test_labels has no images to label"),
        ({"train_labels": np.array([None] * 6)}, r"object but must be whole numbers|contains no intact arrays"),
    ],
)
def test_a_wrong_array_is_named(tmp_path: Path, kind: str, changed: dict[str, Any], message: str) -> None:
    path = store(tmp_path, kind, **{**GOOD, **changed})
    with pytest.raises(UserError, match=message):
        read_arrays(block(path, classes=["a", "b"]))


def test_images_to_train_on_are_required(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no array train_images"):
        read_arrays(block(store(tmp_path, "npz", test_images=images(2, 8, 8))))


@pytest.mark.parametrize("name", ["unlabeled_images", "unlabelled_images"])
def test_unlabeled_images_are_read_in_both_spellings(tmp_path: Path, name: str) -> None:
    path = store(tmp_path, "npz", train_images=images(4, 5, 7), **{name: images(3, 5, 7)})
    assert read_arrays(block(path)).splits.tolist() == ["train"] * 4 + ["unlabeled"] * 3


def test_an_array_in_both_spellings_is_refused(tmp_path: Path) -> None:
    both = {"unlabeled_images": images(3, 5, 7), "unlabelled_images": images(3, 5, 7)}
    path = store(tmp_path, "npz", train_images=images(4, 5, 7), **both)
    with pytest.raises(UserError, match="unlabeled_images and unlabelled_images, which mean the same: keep one"):
        read_arrays(block(path))


@pytest.mark.parametrize("first", [1, 5, 10_000_000])
def test_numbers_that_are_no_labels_are_refused_and_not_counted_up_to(tmp_path: Path, first: int) -> None:
    labels = np.arange(20) % 4 + first
    path = store(tmp_path, "npz", train_images=images(20, 8, 8), train_labels=labels)
    with pytest.raises(
        UserError, match=rf"has labels of 4 classes, numbered from {first:,} to {first + 3:,}: number them from 0 to 3"
    ):
        read_arrays(block(path))
    labels = np.array([0, 1, 2, 40] * 5)
    with pytest.raises(UserError, match="labels of 4 classes, numbered from 0 to 40: number them from 0 to 3"):
        read_arrays(block(store(tmp_path, "npz", train_images=images(20, 8, 8), train_labels=labels)))


def test_classes_may_be_absent_where_their_names_are_given(tmp_path: Path) -> None:
    path = store(tmp_path, "npz", train_images=images(4, 8, 8), train_labels=np.array([9, 8, 9, 8]))
    assert read_arrays(block(path, classes=[*"abcdefghij"])).classes == [*"abcdefghij"]


@pytest.mark.parametrize("dtype", ["uint16", ">u2", "float32"])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_arrays_of_any_depth_and_number_of_channels_are_read_in_either_layout(
    tmp_path: Path, dtype: str, layout: str
) -> None:
    stored = RANDOM.integers(0, 4096, (6, 9, 8, 5)).astype(dtype)
    path = store(tmp_path, "npy", train_images=stored if layout == "NHWC" else np.moveaxis(stored, -1, 1))
    source = read_arrays(block(path, layout=layout, channels=["A", "B", "C", "D", "E"], bits=16, value_range=[0, 4095]))
    assert (*source.reading.size, source.reading.channel_names) == (9, 8, ["A", "B", "C", "D", "E"])
    assert (source.dtype, source.bits, source.value_range) == (np.dtype(dtype).newbyteorder("=").name, 16, (0, 4095))
    ((_, read),) = source.read(np.arange(6))
    assert read.dtype == np.float32 and np.array_equal(read, stored)


@pytest.mark.parametrize(
    ("changed", "settings", "message"),
    [
        ({"train_images": np.zeros((6, 5, 64, 64), np.uint16)}, {}, "takes for 64 channels of 5 × 64 pixels: write"),
        ({"train_images": np.zeros((6, 64, 64, 5), np.uint16)}, {"layout": "NCHW"}, "write `layout: NHWC`"),
        *(
            (
                {"train_images": np.zeros((6, 3, 8, 8), np.uint8)},
                {"channels": channels},
                "8 channels of 3 × 8 pixels: write `layout: NCHW`, move its axes, or use images of 4 pixels or more$",
            )
            for channels in (None, 8)
        ),
        ({"test_images": np.zeros((2, 8, 8), np.uint16)}, {}, "test_images is uint16 and train_images uint8: convert"),
        ({}, {"channels": 3}, "have 1 channel, but 3 are given"),
        ({}, {"value_range": [[0, 1], [0, 1]]}, "value_range: 2 ranges for 1 channel"),
    ],
)
def test_depths_and_axes_that_do_not_fit_are_named(
    tmp_path: Path, changed: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    path = store(tmp_path, "npz", **{**GOOD, **changed})
    with pytest.raises(UserError, match=message):
        read_arrays(block(path, **settings))


def test_values_that_are_not_finite_are_counted_with_their_image(tmp_path: Path) -> None:
    stored = RANDOM.normal(0, 1, (6, 8, 8)).astype(np.float32)
    stored[4, 0, :3] = np.nan
    source = read_arrays(block(store(tmp_path, "npz", train_images=stored)))
    with pytest.raises(UserError, match="3 of the 64 values of image train/4 are NaN or infinite"):
        list(source.read(np.arange(6)))


def test_values_too_large_for_a_range_are_counted_with_their_image(tmp_path: Path) -> None:
    stored = RANDOM.choice([-3e37, 3e37], (6, 8, 8)).astype(np.float32)
    stored[4, 0, :3] = 3e38
    source = read_arrays(block(store(tmp_path, "npz", train_images=stored)))
    with pytest.raises(UserError, match=r"image train/4 .*3 of its 64 values are beyond 3\.4e\+37.*: divide them"):
        list(source.read(np.arange(6)))
