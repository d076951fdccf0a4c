"""Equal images are found where they make an accuracy too good, or cannot all be right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simclr_steps.data.packed import Repeated, read_description
from simclr_steps.data.repeated import count_repeated, digests_of, sentences
from tests.unit.conftest import digits
from tests.unit.data.test_image_index import put
from tests.unit.packing import pack_and_label


def counted(**splits: tuple[np.ndarray, np.ndarray]) -> Repeated:
    parts = {name: splits.get(name, digits(0)) for name in ("train", "validation", "test")}
    for images, labels in [splits["unlabeled"]] if "unlabeled" in splits else []:
        parts["train"] = np.concatenate([parts["train"][0], images]), np.concatenate([parts["train"][1], labels])
    return count_repeated(
        {name: digests_of(images) for name, (images, _) in parts.items()},
        {name: labels for name, (_, labels) in parts.items()},
    )


def test_nothing_is_repeated_in_digits() -> None:
    assert counted(train=digits(1000), validation=digits(300, 1000), test=digits(400, 1300)) == Repeated()


def test_what_is_judged_and_trained_on_is_counted_by_split_whether_labeled_there_or_not() -> None:
    found = counted(train=digits(100), test=digits(100))
    assert found == Repeated(trained_on={"test": 100}, between={"test": {"train": 100}})
    images, labels = digits(100)
    found = counted(train=digits(50, 100), unlabeled=(images, labels * 0 - 1), validation=digits(80, 60))
    assert found == Repeated(trained_on={"validation": 80}, between=found.between)
    assert found.between == {"validation": {"train": 40}, "unlabeled": {"validation": 40}}


def test_what_two_splits_share_is_counted_and_said_with_what_to_do(data: Path) -> None:
    shared = counted(
        train=digits(40), validation=digits(30, 60), test=digits(50, 80), unlabeled=(digits(20, 30)[0], np.full(20, -1))
    )
    assert shared.between == {"test": {"validation": 10}, "unlabeled": {"train": 10}}
    description = read_description(data).model_copy(update={"repeated": shared})
    of_test, of_unlabeled = sentences(description)
    assert of_test.startswith("10 of the 60 images of the test split are also in the hold-out, pixel for pixel, which")
    assert of_test.endswith(": remove them from one of the two.")
    assert of_unlabeled.startswith("10 of the 0 unlabeled images are also in train")
    in_groups = {name: split.model_copy(update={"groups": 3}) for name, split in description.splits.items()}
    of_test, _ = sentences(description.model_copy(update={"splits": in_groups}))
    assert of_test.endswith(": put them and their groups into one group.")


def test_an_image_under_two_labels_is_counted_wherever_it_is() -> None:
    images, labels = digits(60)
    twice = np.concatenate([images, images[:2]])
    assert counted(train=(twice, np.concatenate([labels, labels[:2]]))) == Repeated()
    assert counted(train=(twice, np.concatenate([labels, labels[:2] + 1]))) == Repeated(contradictory=4)
    unknown = counted(train=(twice, np.concatenate([labels, [-1, -1]])))
    assert unknown == Repeated(between={"unlabeled": {"train": 2}}), "an image without a label contradicts none"


def test_two_links_to_one_file_are_one_image(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, *(f"{number}.png" for number in range(6)))
    (tmp_path / "link.png").symlink_to("0.png")
    (tmp_path / "copy.png").hardlink_to(tmp_path / "1.png")
    lines = [f"{number}.png,{'ab'[number % 2]},train" for number in range(4)]
    lines += ["4.png,a,val", "5.png,b,test", "link.png,a,test", "copy.png,b,val"]
    (tmp_path / "t.csv").write_text("\n".join(["path,label,split", *lines]))
    block = {"source": "folder", "path": str(tmp_path / "t.csv"), "image_size": 6}
    description = pack_and_label(block, tmp_path / "packed")
    assert description.repeated.trained_on == {"validation": 1, "test": 1}
    assert "1 of the 2 images of the test split are also in the training data" in caplog.text
