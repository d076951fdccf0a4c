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
