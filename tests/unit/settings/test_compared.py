"""Runs share what they are compared with exactly where their networks and seeds are equal."""

from __future__ import annotations

from typing import Any

from simclr_steps.settings.compared import random_network
from simclr_steps.settings.pretrain import PretrainSettings


def name(seed: int = 0, **keys: Any) -> str:
    return random_network(PretrainSettings.model_validate(keys), seed).name


def test_what_changes_no_random_weight_of_the_backbone_is_shared() -> None:
    assert name(temperature=0.1, epochs=3, projection_head={"output_size": 8}) == name() == "random-resnet18-seed0"


def test_each_other_network_has_a_name_of_its_own() -> None:
    keys: list[dict[str, Any]] = [
        {"encoder": "resnet34"},
        {"stem": "small"},
        {"view_size": 32},
        {"view_size": [32, 16]},
    ]
    own = [{"encoder": "mine_own:net"}, {"encoder": "mine:own_net"}]
    assert len({name(), name(seed=1), *(name(**key) for key in [*keys, *own])}) == 8


def test_given_weights_are_compared_with_random_ones_below_the_same_stem() -> None:
    assert name(init="resnet18.pth") == name(stem="imagenet") != name()
    assert name(init="resnet18.pth", stem="small") == name(stem="small")
    assert name(init="vit.safetensors", encoder="timm:test_vit") == name(encoder="timm:test_vit")
