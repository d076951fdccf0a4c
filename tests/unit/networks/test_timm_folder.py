"""timm loads the folder of an encoder, and computes its features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors import safe_open

from simclr_steps.machine.errors import UserError
from simclr_steps.networks.encoders import load_network
from simclr_steps.networks.timm_folder import check_has_timm_form, write_timm_folder
from simclr_steps.settings.network import ENCODERS
from tests.unit.conftest import WriteEncoder


@pytest.mark.parametrize(
    ("encoder", "channels", "size"),
    [
        ("resnet18", 3, (96, 96)),
        ("resnet50", 5, (96, 70)),
        ("timm:test_resnet", 2, (40, 32)),
        ("timm:test_vit", 1, (32, 64)),
    ],
)
def test_the_loaded_network_has_the_features_of_the_encoder(
    encoder: str, channels: int, size: tuple[int, int], write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    network = load_network(write_encoder(encoder=encoder, channels=channels, image_size=size))
    network.normalization.set([0.3] * channels, [0.2] * channels)
    assert write_timm_folder(network, tmp_path) < 1e-4
    loaded: Any = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    images = torch.rand(3, channels, *size)
    with torch.inference_mode():
        torch.testing.assert_close(loaded((images - 0.3) / 0.2), network(images)[0], rtol=1e-4, atol=1e-4)
    config = loaded.pretrained_cfg
    assert list(config["input_size"]) == [channels, *size]
    assert config["mean"] == pytest.approx([0.3] * channels) and config["std"] == pytest.approx([0.2] * channels)
    with safe_open(tmp_path / "model.safetensors", framework="pt") as stored:
        assert stored.metadata() == {"format": "pt"}


def test_timm_adds_a_classifier_and_takes_channels_and_maps_from_it(
    write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    write_timm_folder(load_network(write_encoder(encoder="resnet18", channels=5, image_size=(96, 96))), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_args"]["in_chans"] == 5
    name, images = f"local-dir:{tmp_path}", torch.rand(2, 5, 96, 96)
    assert timm.create_model(name, pretrained=True, num_classes=10)(images).shape == (2, 10)
    assert timm.create_model(name, pretrained=True, in_chans=1)(images[:, :1]).shape == (2, 512)
    maps = timm.create_model(name, pretrained=True, features_only=True)(images)
    assert [one.shape[1] for one in maps] == [64, 64, 128, 256, 512]


def test_timm_has_every_torchvision_encoder_with_the_same_weights() -> None:
    import torchvision

    for name in ENCODERS:
        with torch.device("meta"):
            own, theirs = torchvision.models.get_model(name, weights=None), timm.create_model(name)
        shapes = [{key: weight.shape for key, weight in one.state_dict().items()} for one in (own, theirs)]
        assert shapes[0] == shapes[1]


def test_a_network_that_timm_does_not_have_is_refused(write_encoder: WriteEncoder) -> None:
    small = load_network(write_encoder(encoder="resnet18")).architecture
    with pytest.raises(UserError, match="^resnet18 with the small stem has no timm form, as .*: use --format onnx, or"):
        check_has_timm_form(small)
    with pytest.raises(UserError, match="^tests.own_encoders:.* is your own network, which timm does not have: use"):
        check_has_timm_form(load_network(write_encoder()).architecture)


def test_a_network_that_timm_computes_otherwise_is_refused(
    write_encoder: WriteEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simclr_steps.networks.timm_folder._difference", lambda *_: 0.5)
    network = load_network(write_encoder(encoder="timm:test_resnet", channels=3, image_size=(32, 32)))
    with pytest.raises(UserError, match="computes different features in this version of timm .off by 0.5"):
        write_timm_folder(network, tmp_path)
