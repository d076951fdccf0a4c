"""What download_weights is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simclr_steps.settings.weights import PublishedWeights
from tests.unit.settings.mistakes import assert_refused

TAGGED = "timm:resnet18.a1_in1k"


@pytest.mark.parametrize(
    ("encoder", "name"), [("resnet50", "resnet50.IMAGENET1K_V2"), (TAGGED, "timm=resnet18.a1_in1k")]
)
def test_a_name_says_which_weights_of_a_network_they_are(encoder: str, name: str) -> None:
    assert PublishedWeights(encoder=encoder).name == name


def test_a_path_is_a_file_to_look_into_only_where_no_digits_are_known() -> None:
    where: dict[str, Any] = {"path": "~/weights.pth"}
    own = PublishedWeights(encoder=TAGGED, **where)
    assert own.path == own.unknown_file == str(Path.home() / "weights.pth")
    assert PublishedWeights(encoder=TAGGED, sha256="0" * 64, **where).unknown_file is None
    assert PublishedWeights(encoder="resnet50", **where).unknown_file is None
    assert PublishedWeights(encoder=TAGGED).unknown_file is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"sha256": "0" * 63}, "sha256: "),
        ({"sha256": "A" * 64}, "sha256: "),
        ({"mirrors": ["ftp://host"]}, 'mirrors.0: "ftp://host" is wrong: it must begin with https://'),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(content: dict[str, Any], sentence: str) -> None:
    assert_refused(PublishedWeights, {"encoder": "resnet50", **content}, sentence)
