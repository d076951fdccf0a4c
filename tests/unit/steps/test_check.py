"""Unmet requirements of an experiment on the data are reported without reading the images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.demands import Demands
from simclr_steps.steps.check import check
from tests.unit.conftest import digits

MODEST = {
    "pretrains": {"simclr": {"global_batch_size": 64}},
    "criterion": "validate_loss",
    "drawn": ["test"],
    "supervised": False,
}


def ask(data: Path, **demands: Any) -> None:
    for file in data.glob("*.npy"):
        file.unlink()
    content = {"finetunes": {}, **MODEST, **demands}
    check(Demands.model_validate(content), data=data)


def without_labels(count: int, first: int = 0) -> tuple[Any, Any]:
    return digits(count, first)[0], np.full(count, -1, dtype=np.int64)


def finetune(labels: Any = 0.5, keep: str = "last") -> dict[str, Any]:
    return {"few": {"labels": labels, "draws": 3, "keep": keep}}


def test_data_that_have_it_all_pass(write_packed: Callable[..., Path]) -> None:
    ask(write_packed(), criterion="knn", finetunes=finetune(keep="best"), supervised=True)


def test_keys_for_colors_are_allowed_where_there_are_colors(write_packed: Callable[..., Path]) -> None:
    images, labels = digits(200)
    splits = {name: (images[rows].repeat(3, axis=3), labels[rows]) for name, rows in ROWS.items()}
    ask(write_packed(splits), color_keys={"simclr": ["hue"]})


ROWS = {"train": slice(100), "validation": slice(100, 150), "test": slice(150, 200), "unlabeled": slice(0)}
SPLITS = {"train": digits(200), "validation": digits(60, 200), "test": digits(60, 260), "unlabeled": digits(0)}


@pytest.mark.parametrize(
    ("splits", "demands", "sentence"),
    [
        (
            {},
            {"pretrains": {"a": {"global_batch_size": 9}, "b": {"global_batch_size": 256}}},
            "b: global_batch_size 256 exceeds the 200 training images of data",
        ),
        ({"validation": digits(1)}, {}, "selection.criterion: validate_loss needs a hold-out of at least two images"),
        ({"validation": digits(0)}, {"criterion": "rankme"}, "selection.criterion: rankme needs a hold-out"),
        ({"validation": without_labels(9)}, {"criterion": "knn"}, "selection.criterion: knn needs labels"),
        ({"train": without_labels(99)}, {"criterion": "knn"}, "selection.criterion: knn needs labels"),
        (
            {"train": without_labels(99)},
            {"finetunes": finetune()},
            "finetunes.few: a classifier needs labels of at least two",
        ),
        (
            {"train": (digits(99)[0], np.zeros(99, np.int64))},
            {"finetunes": finetune()},
            "of data has 1: omit finetunes from its experiments",
        ),
        ({}, {"display": [1]}, 'datasets.data.display: there is no channel "1"; available: 0'),
        ({}, {"finetunes": finetune(2)}, "finetunes.few.labels: 2 gives 2 of 200 labels, too few for 10 classes"),
        ({}, {"finetunes": finetune({"per_class": 30})}, "finetunes.few.labels: 30 per class exceeds the"),
        (
            {"validation": without_labels(9)},
            {"finetunes": finetune(keep="best")},
            "finetunes.few.keep: best needs labels in the hold-out",
        ),
        ({}, {"explored": ["train", "unlabeled"]}, "explore.splits: unlabeled of data has no images: remove it"),
        ({"test": digits(0)}, {}, "umap.split: test of data has no images to draw: choose another split, or raise"),
        (
            {},
            {"color_keys": {"simclr": [], "evaluation": ["grayscale_probability"]}},
            "evaluation: set augmentation.grayscale_probability to 0: it needs 3 color channels, but these have 1",
        ),
        (
            {},
            {"color_keys": {"simclr": ["saturation", "hue"]}},
            "set augmentation.saturation and augmentation.hue to 0: they need 3 color channels, but these have 1",
        ),
        ({"test": without_labels(20)}, {"supervised": True}, "umap.supervised: test of data has no labels"),
    ],
)
def test_what_is_missing_is_one_sentence_that_names_the_key(
    splits: dict[str, Any], demands: dict[str, Any], sentence: str, write_packed: Callable[..., Path]
) -> None:
    data = write_packed(SPLITS | splits)
    with pytest.raises(UserError) as error:
        ask(data, **demands)
    assert sentence in str(error.value) and "\n" not in str(error.value)


MORE_IMAGES = "add more images if you have any; they need no labels"


@pytest.mark.parametrize(
    ("images", "size", "said"),
    [
        (20, "auto", f"1 update, with batches of 20 of 20 images: {MORE_IMAGES}"),
        (200, "auto", f"6 updates, with batches of 32 of 200 images: {MORE_IMAGES}"),
        (200, 30, f"6 updates, with batches of 30 of 200 images: {MORE_IMAGES}"),
        (200, 64, "3 updates, with batches of 64 of 200 images: global_batch_size: auto makes more of them"),
        (200, 20, None),
        (320, "auto", None),
    ],
)
def test_an_epoch_of_few_updates_is_warned_of(
    images: int, size: Any, said: str | None, write_packed: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    data = write_packed({**SPLITS, "train": digits(images)})
    ask(data, pretrains={"a": {"global_batch_size": size}})
    assert caplog.messages == ([f"warning: a: an epoch has {said}"] if said else [])


def test_a_warm_up_that_is_longer_than_the_training_is_warned_of(
    write_packed: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    data = write_packed({**SPLITS, "train": digits(320)})
    fits = {"global_batch_size": 32, "epochs": 5, "warmup_epochs": 5}
    ask(data, pretrains={"fits": fits, "auto": {"warmup_epochs": 100}}, finetunes=finetune())
    assert caplog.messages == []
    few = {"few": {**finetune()["few"], "epochs": 3, "warmup_epochs": 4}}
    ask(data, pretrains={"a": {**fits, "warmup_epochs": 6}, "b": {"warmup_steps": 1001}}, finetunes=few)
    assert [
        message.removesuffix(": it never reaches learning_rate, so shorten the warm-up") for message in caplog.messages
    ] == [
        "warning: a: the warm-up takes 60 updates, but training has only 50",
        "warning: b: the warm-up takes 1001 updates, but training has only 1000",
        "warning: finetunes.few: the warm-up takes 4 epochs, but training has only 3",
    ]


def test_a_hold_out_of_few_labels_is_no_good_judge_of_a_grid(
    write_packed: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    images, labels = digits(150, 200)
    labels[99:] = -1
    data = write_packed({**SPLITS, "validation": (images, labels)})
    ask(data, pretrains={})
    assert caplog.messages == []
    ask(data, pretrains={}, judged_by=["validation"])
    (said,) = caplog.messages
    assert "judged on the hold-out, of which only 99 images of data have a label: raise datasets.data.valid" in said


def test_a_split_of_few_images_to_draw_is_warned_of_where_train_has_more(
    write_packed: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    data = write_packed({**SPLITS, "test": digits(49)})
    ask(data, pretrains={})
    assert caplog.messages == ["warning: umap.split: test of data has only 49 images to draw: train has 200"]
    caplog.clear()
    ask(data, pretrains={}, drawn=["validation"])
    assert caplog.messages == []


def test_a_grid_needs_a_hold_out_and_no_test_split(write_packed: Callable[..., Path]) -> None:
    asked = {"criterion": "last", "judged_by": ["validation"], "explored": ["test"]}
    ask(write_packed({**SPLITS, "test": digits(0)}), **asked)
    sentence = "experiments: runs of a grid are judged on the hold-out, but other has none: raise datasets.other.valid"
    with pytest.raises(UserError, match=sentence):
        ask(write_packed({**SPLITS, "validation": digits(0)}, name="other"), **asked)
