"""From scratch means from random weights, also where a user's own encoder returns a trained network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from simclr_steps.data.packed import read_description
from simclr_steps.machine.errors import UserError
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.networks.from_scratch import draw_brought_weights
from simclr_steps.settings.compared import RandomNetwork
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.steps.compare import _network
from tests.unit.finetuning import changed
from tests.unit.finetuning import train as finetune

TRAINED = "tests.own_encoders:trained"


def build(name: str, seed: int, *, anew: bool = True) -> dict[str, torch.Tensor]:
    """Return the weights of a backbone that is built from a seed."""
    settings = PretrainSettings(encoder=name, projection_head=ProjectionHead(hidden_size=8, output_size=4))
    torch.manual_seed(seed)
    encoder = Encoder(resolve(settings, ImageFormat.of_8_bits((8, 8), 1)))
    if anew:
        draw_brought_weights(encoder.backbone, encoder.architecture)
    return encoder.backbone.state_dict()


def test_weights_that_an_encoder_brings_are_drawn_anew_by_the_seed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    brought, *drawn = build(TRAINED, 0, anew=False), build(TRAINED, 0), build(TRAINED, 0), build(TRAINED, 1)
    assert torch.equal(brought["0.weight"], build(TRAINED, 1, anew=False)["0.weight"])
    for name in ("0.weight", "0.bias", "3.weight", "3.bias"):
        assert torch.equal(drawn[0][name], drawn[1][name])
        assert len({float(weights[name].sum()) for weights in (brought, drawn[0], drawn[2])}) == 3
    assert (drawn[0]["1.weight"] == 1).all()
    assert f"{TRAINED} brings weights, which were drawn anew: to start from them, name their file" in caplog.text


def test_an_encoder_of_random_weights_and_constant_norms_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for name in ("tests.own_encoders:smooth_with_batch_norm", "timm:test_resnet"):
        as_built, after = build(name, 0, anew=False), build(name, 0)
        assert all(torch.equal(weights, after[key]) for key, weights in as_built.items())
    assert "brings weights" not in caplog.text


def test_weights_that_no_module_draws_are_refused_in_one_sentence() -> None:
    sentence = (
        r"^encoder: tests.own_encoders:trained_for_good brings weights \(first in 1.scale\).* give _Scaled a reset"
    )
    with pytest.raises(UserError, match=sentence):
        build("tests.own_encoders:trained_for_good", 0)


def test_random_features_and_a_classifier_from_scratch_bring_nothing_either(tmp_path: Path, data: Path) -> None:
    brought = build(TRAINED, 0, anew=False)["0.weight"]
    random = _network(RandomNetwork(encoder=TRAINED, seed=0), read_description(data).image_format, None)
    assert not torch.equal(random.backbone.state_dict()["0.weight"], brought)
    settings = changed(init="random", network={"encoder": TRAINED}, epochs=1, learning_rate=1e-12)
    finetune(tmp_path / "out", None, data, settings)
    classifier = load_file(tmp_path / "out" / "model.safetensors")
    assert not torch.allclose(classifier["backbone.0.weight"], brought, atol=1e-3)
