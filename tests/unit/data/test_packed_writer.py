from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simclr_steps.data.label_writer import write_labels
from simclr_steps.data.packed import read_description, read_split
from simclr_steps.data.packed_writer import ImageSource, pack, take
from simclr_steps.data.scaling import Values
from simclr_steps.data.splits import Rows
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.provenance import Record
from simclr_steps.settings.base import PACKED_SPLITS
from simclr_steps.settings.image_format import Reading
from simclr_steps.settings.value_ranges import Percentiles

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (60, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(60) % 4 - 1  # every fourth image has none
ASSIGNED = np.array(["train", "train", "test", "", "train"] * 12, dtype="<U10")


def source(pixels: Values = PIXELS, unreadable: tuple[int, ...] = (), chunk: int = 7) -> ImageSource:
    def read(rows: Rows) -> Iterator[tuple[Rows, Values]]:
        readable = rows[~np.isin(rows, unreadable)]
        return take((pixels[start : start + chunk] for start in range(0, len(pixels), chunk)), readable)

    return ImageSource(
        classes=["a", "b, c", "ü"],
        reading=Reading(height=pixels.shape[1], width=pixels.shape[2], channels=pixels.shape[3]),
        splits=np.full(len(pixels), "train"),
        labels=LABELS,
        names=[f"train/{row}" for row in range(len(pixels))],
        read=read,
    )


def run(out: Path, images: ImageSource, splits: Any = ASSIGNED) -> Any:
    packed = pack(images, splits, out, record=Record("prepare", None, None))
    record = Record("label", None, None)
    return write_labels(images, out, packed, out, split_seed=7, origin={"source": "test"}, record=record)


def test_every_image_is_in_its_split_in_the_order_of_the_source(tmp_path: Path) -> None:
    run(tmp_path, source())
    for split in PACKED_SPLITS:
        packed, rows = read_split(tmp_path, split), np.flatnonzero(np.equal(ASSIGNED, split))
        assert np.array_equal(packed.images, PIXELS[rows])
        assert np.array_equal(packed.labels, LABELS[rows])
        table = pq.read_table(tmp_path / f"{split}.rows.parquet")
        names = ["a", "b, c", "ü", None]
        assert table.to_pydict() == {
            "row": list(range(len(rows))),
            "source": [f"train/{row}" for row in rows],
            "label": [names[LABELS[row]] for row in rows],
        }
        assert table.schema.types == [pa.int64(), pa.string(), pa.string()], "of an empty split, too"


def test_the_description_tells_the_counts_mean_and_deviation(tmp_path: Path) -> None:
    run(tmp_path, source())
    description = read_description(tmp_path)
    assert (*description.image_format.size, description.image_format.channels) == (6, 5, 3)
    labels = LABELS[ASSIGNED == "train"]
    train, unlabeled = description.splits["train"], description.splits["unlabeled"]
    assert (train.images, train.labeled) == ((labels >= 0).sum(), (labels >= 0).sum())
    assert (unlabeled.images, unlabeled.labeled) == ((labels < 0).sum(), 0)
    assert train.per_class == [(labels == label).sum() for label in range(3)]
    assert description.splits["validation"].images == 0
    seen = PIXELS[ASSIGNED == "train"] / 255
    np.testing.assert_allclose(description.image_format.mean, seen.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(description.image_format.std, seen.std(axis=(0, 1, 2)), rtol=1e-12)


def test_unreadable_images_are_left_out_and_listed(tmp_path: Path) -> None:
    run(tmp_path, source(unreadable=(4, 7)))
    description = read_description(tmp_path)
    assert description.skipped == ["train/4", "train/7"]
    rows = np.setdiff1d(np.flatnonzero(ASSIGNED == "train"), [4])
    assert np.array_equal(read_split(tmp_path, "train").images, PIXELS[rows])
    assert np.array_equal(read_split(tmp_path, "train").labels, LABELS[rows])
    assert len(read_split(tmp_path, "test")) == 11


@pytest.mark.parametrize(
    ("unreadable", "message"),
    [
        (ASSIGNED == "test", "none of the 12 images of the split test is readable: fix the files"),
        ((ASSIGNED == "train") & (LABELS == 1), 'none of the train images of class "b, c" is readable: .*remove them'),
        ((ASSIGNED == "train") & (LABELS > 0), r'class "b, c" \(and of 1 more classes\) is readable'),
    ],
)
def test_a_split_and_a_class_to_train_on_of_which_no_image_is_readable_stop(
    tmp_path: Path, unreadable: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run(tmp_path, source(unreadable=tuple(np.flatnonzero(unreadable))))
    assert not list(tmp_path.glob("*.labels.npy")) and not (tmp_path / "dataset.json").exists()


def test_a_range_to_be_found_does_not_hide_that_no_image_to_train_on_is_readable(tmp_path: Path) -> None:
    images = replace(source(unreadable=tuple(np.flatnonzero(ASSIGNED != "test"))), dtype="uint16", value_range="auto")
    with pytest.raises(UserError, match="none of the 36 images of the split train is readable: fix the files"):
        run(tmp_path, images)
    with pytest.raises(UserError, match="no images to train on"):
        run(tmp_path, images, np.full(60, "test"))


def test_no_image_to_train_on_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no images to train on"):
        run(tmp_path, source(), np.full(60, "test"))
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    run(tmp_path, source())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def read(rows: Rows) -> Iterator[tuple[Rows, Values]]:
        yield rows[:1], PIXELS[:1]
        raise UserError("an image is damaged")

    with pytest.raises(UserError, match="damaged"):
        run(tmp_path, replace(source(), read=read))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_a_killed_run_left_is_removed_and_never_taken_for_whole(tmp_path: Path) -> None:
    (tmp_path / ".arrays.partial-0123").mkdir()
    (tmp_path / ".arrays.partial-0123" / "train.images.npy").write_bytes(b"half")
    (tmp_path / ".arrays.partial-0123" / "more.npy").write_bytes(b"half")
    run(tmp_path, source())
    assert {path.name for path in tmp_path.iterdir()} == {
        *("dataset.json", "images.json", "origins.parquet", "table.csv"),
        *(f"{split}.{part}" for split in PACKED_SPLITS for part in ("images.npy", "labels.npy", "rows.parquet")),
    }


def test_a_full_disk_is_named_and_leaves_nothing_behind(small_disk: Path) -> None:
    large = np.zeros((60, 100, 100, 3), dtype=np.uint8)
    with pytest.raises(UserError, match=rf"the disk is full while writing {small_disk}/data/\w+\.images\.npy"):
        run(small_disk / "data", source(large))
    assert list((small_disk / "data").iterdir()) == []
    run(small_disk / "data", source())
    assert len(read_split(small_disk / "data", "train")) == 36


DEEP = RANDOM.integers(294, 4096, (60, 6, 5, 3)).astype(np.float32)


def deep(**facts: Any) -> ImageSource:
    return replace(source(DEEP), dtype="uint16", **facts)


def test_the_range_is_found_in_what_is_trained_on_and_is_the_same_for_all_images(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dim = DEEP.copy()
    dim[ASSIGNED == "test"] /= 8
    with caplog.at_level(logging.INFO):
        run(tmp_path, replace(source(dim), dtype="uint16", value_range=Percentiles(percentiles=(10, 90))))
    trained_on = dim[ASSIGNED == "train"]
    low, high = np.percentile(trained_on, [10, 90], axis=(0, 1, 2), method="lower")
    form = read_description(tmp_path).image_format
    assert (form.dtype, form.bits, form.value_range) == ("uint16", 8, list(zip(low, high, strict=True)))
    expected = np.rint(np.clip((dim - low) / (high - low), 0, 1) * 255)
    packed = np.concatenate([np.load(tmp_path / f"{split}.images.npy") for split in PACKED_SPLITS])
    rows = np.concatenate([np.flatnonzero(np.equal(ASSIGNED, split)) for split in PACKED_SPLITS])
    assert packed.dtype == np.uint8 and np.array_equal(packed, expected[rows])
    assert packed[np.isin(rows, np.flatnonzero(ASSIGNED == "test"))].max() < 50
    beyond = ((dim < low) | (dim > high))[ASSIGNED != ""].mean(axis=(0, 1, 2))
    assert (
        f"channel 0 {low[0]:g} to {high[0]:g} ({100 * beyond[0]:.2f} % of the pixels saturate), channel 1"
        in caplog.text
    )
    assert not [file for file in tmp_path.iterdir() if file.suffix not in (".npy", ".parquet", ".json", ".csv")]


def test_margins_do_not_count_among_the_pixels_of_which_a_share_saturates(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    padded = DEEP.copy()
    padded[:, :3] = np.nan
    padded[:, 3, :, 0] = 5000  # one of the three lines that are left
    with caplog.at_level(logging.INFO):
        run(tmp_path, replace(source(padded), dtype="uint16", value_range=(0.0, 4095.0)))
    assert "range: channel 0 0 to 4095 (33.33 % of the pixels saturate), channel 1 0 to 4095 (0.00 %" in caplog.text


def test_16_bits_are_packed_with_their_mean_and_deviation(tmp_path: Path) -> None:
    run(tmp_path, deep(value_range=(0.0, 4095.0), bits=16))
    form = read_description(tmp_path).image_format
    packed = np.load(tmp_path / "train.images.npy")
    assert packed.dtype == np.uint16
    assert np.array_equal(packed, np.rint(DEEP[ASSIGNED == "train"] / 4095 * 65535))
    seen = np.rint(DEEP[ASSIGNED == "train"] / 4095 * 65535) / 65535
    np.testing.assert_allclose(form.mean, seen.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(form.std, seen.std(axis=(0, 1, 2)), rtol=1e-5)


def test_a_constant_channel_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pixels = PIXELS.copy()
    pixels[..., 1] = 7
    with caplog.at_level(logging.WARNING):
        run(tmp_path, source(pixels))
    assert "channel 1 is the same in all pixels that are trained on" in caplog.text
    caplog.clear()
    constant = DEEP.copy()
    constant[..., 2] = 300
    images = replace(source(constant), dtype="uint16")
    named = images.reading.model_copy(update={"channel_names": ["DNA", "RNA", "ER"]})
    with caplog.at_level(logging.WARNING):
        run(tmp_path, replace(images, reading=named))
    assert "ER is the same in all pixels" in caplog.text and "DNA" not in caplog.text
