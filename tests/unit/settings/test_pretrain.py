"""The block `pretrains`."""

from __future__ import annotations

import json

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
        ({"epochs": 5, "freeze_epochs": 5}, "freeze_epochs: .* must be less than 5, the number of epochs"),
        (
            {"init": "published", "stem": "small"},
            "stem: .* must be auto or imagenet, .* raise view_size .* init: random",
        ),
        ({"init": "published", "encoder": "my:network"}, "init: .* must be random or a path, as nothing is published"),
        (
            {"init": "published", "encoder": "timm:resnet18"},
            r"init: .* encoder: timm:resnet18\.TAG, with one that timm",
        ),
        (
            {"init": "my.pth", "weights_path": "other.pth"},
            "weights_path: .* must be omitted, or init must be published",
        ),
        (
            {"weights_mirrors": ["https://example.org"]},
            "weights_mirrors: .* must be omitted, or init must be published",
        ),
        ({"init": "published", "weights_sha256": "11ad3fa6"}, "weights_sha256: "),
    ],
)
def test_wrong_names_and_stems_are_mistakes_of_the_config(content: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(PretrainSettings, content)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"encoder": "resnet81"}, 'MODULE:FUNCTION; did you mean "resnet18"?'),
        ({"views": 1}, "views: 1 is wrong"),
        (
            {"view_size": 3},
            "view_size: 3 is wrong: it must be a whole number or two, [height, width], each from 4 to 65,535",
        ),
        ({"view_size": [8]}, "view_size: [8] is wrong: it must be a whole number or two, [height, width]"),
        ({"view_size": [8, 2]}, "view_size: [8, 2] is wrong"),
        ({"view_size": [8, 8, 8]}, "view_size: [8, 8, 8] is wrong"),
        ({"view_size": [8, 9.5]}, "view_size: [8, 9.5] is wrong"),
        ({"view_size": "8x9"}, 'view_size: "8x9" is wrong'),
        ({"view_size": True}, "view_size: true is wrong"),
        ({"global_batch_size": 1}, "global_batch_size: 1 is wrong"),
        ({"learning_rate_scaling": "square"}, 'learning_rate_scaling: "square" is not known'),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(content: dict[str, object], sentence: str) -> None:
    assert_refused(PretrainSettings, content, sentence)


@pytest.mark.parametrize(
    ("written", "stored"), [(None, None), (32, 32), ([32, 32], 32), ([32, 48], [32, 48]), ([48, 32], [48, 32])]
)
def test_a_square_of_views_is_stored_as_one_number_and_another_shape_as_two(written: object, stored: object) -> None:
    text = check(PretrainSettings, {"view_size": written}).as_json()
    assert json.loads(text)["view_size"] == stored
    assert check(PretrainSettings, json.loads(text)).as_json() == text
