"""The block `finetunes`."""

from __future__ import annotations

import pytest

from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.settings.reading import check
from tests.unit.settings.mistakes import assert_refused


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"layer_decay": 0.0}, "layer_decay: 0.0 is wrong: it must be greater than 0"),
        ({"layer_decay": 1.1}, "layer_decay: 1.1 is wrong: it must be less than or equal to 1"),
        ({"batch_size": 1}, "batch_size: 1 is wrong: it must be greater than or equal to 2"),
        ({"epochs": "outo"}, 'epochs: "outo" is wrong: it must be a whole number above 0, or auto'),
        ({"epochs": 0}, "epochs: 0 is wrong: it must be a whole number above 0, or auto"),
        ({"keep": "first"}, 'keep: "first" is not known'),
        ({"augmentation": {"hue": 0.6}}, "augmentation.hue: 0.6 is wrong"),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(content: dict[str, object], sentence: str) -> None:
    assert_refused(FinetuneSettings, content, sentence)


def test_the_number_of_epochs_is_left_to_the_number_of_labels_unless_it_is_given() -> None:
    assert check(FinetuneSettings, None).epochs == "auto"
    assert check(FinetuneSettings, {"epochs": 7}).epochs == 7


def test_plain_images_are_trained_on_unless_views_are_asked_for() -> None:
    assert check(FinetuneSettings, None).augmentation is None
    assert check(FinetuneSettings, {"augmentation": None}).augmentation is None
    assert check(FinetuneSettings, {"augmentation": {}}).augmentation == Augmentation()
