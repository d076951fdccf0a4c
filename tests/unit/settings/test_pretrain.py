"""The block `pretrains`."""

from __future__ import annotations

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.reading import check
from tests.unit.settings.mistakes import assert_refused


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"encoder": "resnet19"}, 'encoder: "resnet19" is wrong: it must be a ResNet of torchvision, .*"resnet18"?'),
        ({"encoder": "timm:hf-hub:somebody/network"}, "must be a ResNet of torchvision, timm:NAME or MODULE:FUNCTION"),
        ({"encoder": "my-module:network"}, "must be a ResNet of torchvision, timm:NAME or MODULE:FUNCTION"),
        ({"encoder": "timm:resnet18", "stem": "small"}, 'stem: "small" is wrong: it must be auto, as only'),
        ({"encoder": "my:network", "stem": "imagenet"}, "stem: .* must be auto"),
    ],
)
def test_wrong_names_and_stems_are_mistakes_of_the_config(content: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(PretrainSettings, content)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"encoder": "resnet81"}, 'MODULE:FUNCTION; did you mean "resnet18"?'),
        ({"views": 1}, "views: 1 is wrong"),
        ({"global_batch_size": 1}, "global_batch_size: 1 is wrong"),
        ({"learning_rate_scaling": "square"}, 'learning_rate_scaling: "square" is not known'),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(content: dict[str, object], sentence: str) -> None:
    assert_refused(PretrainSettings, content, sentence)
