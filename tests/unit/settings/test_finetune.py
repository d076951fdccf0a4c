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
        ({"keep": "first"}, 'keep: "first" is not known'),
        ({"augmentation": {"hue": 0.6}}, "augmentation.hue: 0.6 is wrong"),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(content: dict[str, object], sentence: str) -> None:
    assert_refused(FinetuneSettings, content, sentence)


def test_plain_images_are_trained_on_unless_views_are_asked_for() -> None:
    assert check(FinetuneSettings, None).augmentation is None
    assert check(FinetuneSettings, {"augmentation": None}).augmentation is None
    assert check(FinetuneSettings, {"augmentation": {}}).augmentation == Augmentation()
