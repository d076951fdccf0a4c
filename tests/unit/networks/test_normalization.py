"""The images' mean and standard deviation are part of a network's weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder, load_network, save_network
from simclr_steps.networks.normalization import Normalization, with_identity
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.pretrain import PretrainSettings
from tests.unit.networks.test_weights import TIMM


def test_as_built_it_changes_no_bit_and_no_weight_is_trained() -> None:
    images, fresh = torch.rand(2, 3, 5, 4), Normalization(3)
    assert torch.equal(fresh(images), images)
    assert list(fresh.parameters()) == []


def test_each_channel_has_its_own_mean_and_deviation_which_go_with_the_weights() -> None:
    images, first, second = torch.rand(2, 2, 5, 4), Normalization(2), Normalization(2)
    first.set([0.5, 0.25], [0.5, 2.0])
    expected = torch.stack([(images[:, 0] - 0.5) / 0.5, (images[:, 1] - 0.25) / 2], dim=1)
    assert torch.equal(first(images), expected)
    second.load_state_dict(first.state_dict())
    assert torch.equal(second(images), expected)


def test_what_a_file_has_of_the_normalization_comes_before_what_the_network_has() -> None:
    network = nn.ModuleDict({"normalization": Normalization(1), "backbone": nn.Linear(1, 1)})
    old = {"backbone.weight": torch.ones(1, 1)}
    completed = with_identity(old, network)
    assert sorted(completed) == ["backbone.weight", "normalization.mean", "normalization.std"]
    assert (completed["normalization.mean"].item(), completed["normalization.std"].item()) == (0, 1)
    new = {**old, "normalization.mean": torch.tensor([0.5])}
    assert with_identity(new, network)["normalization.mean"].item() == 0.5


def test_an_encoder_written_before_the_normalization_loads_as_it_was(tmp_path: Path) -> None:
    encoder = Encoder(resolve(PretrainSettings(encoder=TIMM), ImageFormat.of_8_bits((32, 32), 3))).eval()
    state = encoder.state_dict
    encoder.state_dict = lambda: {  # type: ignore[method-assign, assignment]
        name: tensor for name, tensor in state().items() if not name.startswith("normalization.")
    }
    save_network(tmp_path / "encoder.safetensors", encoder)
    read = load_network(tmp_path / "encoder.safetensors")
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(read(images)[0], encoder.backbone(images))
