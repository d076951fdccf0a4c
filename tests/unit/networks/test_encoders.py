"""Every offered encoder works for every kind of image, and weights load only where they fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from simclr_steps.machine.errors import UserError
from simclr_steps.networks.architecture import Architecture, resolve
from simclr_steps.networks.encoders import Classifier, Encoder, load_network, save_network
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.network import ENCODERS, ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings


def architecture(encoder: str = "resnet18", channels: int = 3, image_size: int = 16) -> Architecture:
    settings = PretrainSettings(encoder=encoder, projection_head=ProjectionHead(hidden_size=32, output_size=16))
    return resolve(settings, ImageFormat.of_8_bits((image_size, image_size), channels))


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_is_built_and_gives_features(name: str) -> None:
    with torch.device("meta"):  # shapes alone: the largest would fill the memory
        encoder = Encoder(architecture(name)).eval()
        features, projections = encoder(torch.empty(2, 3, 16, 16))
    assert features.shape == (2, encoder.feature_size)
    assert projections.shape == (2, 16)


@pytest.mark.parametrize(("channels", "image_size"), [(1, 8), (1, 28), (3, 32), (1, 96), (3, 96)])
def test_gray_and_color_images_of_any_size_are_read(channels: int, image_size: int) -> None:
    encoder = Encoder(architecture(channels=channels, image_size=image_size)).eval()
    features, _ = encoder(torch.rand(2, channels, image_size, image_size))
    assert features.shape == (2, 512) and torch.isfinite(features).all()


def test_small_images_get_the_small_stem() -> None:
    assert architecture(image_size=64).stem == "small"
    assert architecture(image_size=96).stem == "imagenet"
    small = Encoder(architecture(image_size=32)).backbone
    assert small.conv1.stride == (1, 1) and isinstance(small.maxpool, torch.nn.Identity)
    assert Encoder(architecture(image_size=96)).backbone.conv1.stride == (2, 2)


def test_projection_head_of_two_layers_is_simclrs_equation() -> None:
    encoder = Encoder(architecture()).double().eval()
    weights = {name: value.numpy() for name, value in encoder.projection_head.state_dict().items()}
    features, projections = encoder(torch.rand(3, 3, 16, 16, dtype=torch.float64))
    hidden = np.maximum(features.detach().numpy() @ weights["0.weight"].T + weights["0.bias"], 0)
    assert np.allclose(projections.detach().numpy(), hidden @ weights["2.weight"].T)


@pytest.mark.parametrize(
    ("encoder", "image_size", "blocks"),
    [
        ("resnet18", 16, ["conv1+bn1", *(f"layer{n}.{m}" for n in range(1, 5) for m in range(2))]),
        ("timm:vit_tiny_patch16_224", 32, ["cls_token", *(f"blocks.{n}" for n in range(12))]),
    ],
)
def test_layers_are_the_blocks_from_the_images_to_the_head(encoder: str, image_size: int, blocks: list[str]) -> None:
    network = Classifier(architecture(encoder, image_size=image_size), 10, "linear")
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    layers = [[names[id(parameter)] for parameter in layer] for layer in network.layers()]
    assert sorted(name for layer in layers for name in layer) == sorted(names.values())
    assert layers[-1] == ["head.weight", "head.bias"]
    for layer, block in zip(layers[:-1], blocks, strict=False):
        assert layer[0].startswith(f"backbone.{block.partition('+')[0]}")
    if encoder == "resnet18":
        assert len(layers) == len(blocks) + 1
        assert layers[0] == ["backbone.conv1.weight", "backbone.bn1.weight", "backbone.bn1.bias"]
    else:  # position and class token go with the patches, the last norm with the last block
        assert "backbone.patch_embed.proj.weight" in layers[0] and layers[-2][-1] == "backbone.norm.bias"
        assert len(layers) == 12 + 2


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_projection_head_has_the_layers_asked_for(layers: Literal[2, 3], batch_norm: bool) -> None:
    head = ProjectionHead(layers=layers, hidden_size=32, output_size=16, batch_norm=batch_norm)
    built = Encoder(resolve(PretrainSettings(projection_head=head), ImageFormat.of_8_bits((16, 16), 3))).projection_head
    linear = [layer for layer in built if isinstance(layer, torch.nn.Linear)]
    assert [layer.out_features for layer in linear] == [32] * (layers - 1) + [16]
    assert [layer.bias is not None for layer in linear] == [not batch_norm] * (layers - 1) + [False]
    norms = [place for place, layer in enumerate(built) if isinstance(layer, torch.nn.BatchNorm1d)]
    assert len(norms) == (layers - 1) * batch_norm
    assert all(isinstance(built[place + 1], torch.nn.ReLU) for place in norms)


def test_saved_backbone_loads_into_plain_torchvision(tmp_path: Path) -> None:
    encoder = Encoder(architecture(image_size=96)).eval()
    save_network(tmp_path / "encoder.safetensors", encoder)
    weights = load_file(tmp_path / "encoder.safetensors")
    plain = torchvision.models.resnet18(weights=None)
    plain.fc = torch.nn.Identity()
    plain.load_state_dict({k.removeprefix("backbone."): v for k, v in weights.items() if k.startswith("backbone.")})
    images = torch.rand(2, 3, 96, 96)
    assert torch.equal(plain.eval()(images), encoder(images)[0])


def test_networks_are_equal_after_saving_and_loading(tmp_path: Path) -> None:
    images = torch.rand(2, 3, 16, 16)
    for network in (Encoder(architecture()).eval(), Classifier(architecture(), 2, "mlp").eval()):
        save_network(tmp_path / "network.safetensors", network, ["cat", "dog"])
        loaded = load_network(tmp_path / "network.safetensors")
        assert type(loaded) is type(network)
        assert all(torch.equal(a, b) for a, b in zip(network(images), loaded(images), strict=True))


def test_a_temperature_divides_the_logits_and_a_file_without_one_counts_as_1(tmp_path: Path) -> None:
    network, path = Classifier(architecture(), 3, "linear").eval(), tmp_path / "model.safetensors"
    images = torch.rand(2, 3, 16, 16)
    plain = network(images)[1]
    network.temperature = 2.5
    save_network(path, network, ["a", "b", "c"])
    loaded = load_network(path)
    assert isinstance(loaded, Classifier) and loaded.class_names == ["a", "b", "c"]
    assert torch.equal(loaded(images)[1], plain / 2.5)
    with safe_open(path, framework="pt") as stored:
        description = json.loads(stored.metadata()["simclr"])
    for temperature in (0, -1, "NaN"):
        other = {**description, "temperature": temperature}
        save_file(load_file(path), path, {"simclr": json.dumps({k: v for k, v in other.items() if k != "sha256"})})
        with pytest.raises(UserError, match="does not know .temperature"):
            load_network(path)
    old = {key: value for key, value in description.items() if key not in ("temperature", "sha256")}
    save_file(load_file(path), path, {"simclr": json.dumps(old)})
    assert torch.equal(load_network(path)(images)[1], plain)


def test_a_file_that_holds_one_number_as_size_is_read_as_a_square(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    save_network(path, Encoder(architecture()))
    with safe_open(path, framework="pt") as stored:
        description = json.loads(stored.metadata()["simclr"])
    assert description["architecture"]["image_size"] == [16, 16]
    description["architecture"]["image_size"] = 16
    del description["sha256"]  # which files of that age lack as well
    save_file(load_file(path), path, metadata={"simclr": json.dumps(description)})
    assert load_network(path).architecture == architecture()


def test_damaged_absent_and_foreign_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    with pytest.raises(UserError, match="encoder.safetensors does not exist"):
        load_network(path)
    with pytest.raises(UserError, match=r"is a folder: give the \.safetensors file in it$"):
        load_network(tmp_path)
    save_network(path, Encoder(architecture()))
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(UserError, match="encoder.safetensors is damaged"):
        load_network(path)
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="contains no network from this workflow"):
        load_network(path)
    save_file({"weight": torch.zeros(1)}, path, metadata={"simclr": "[" * 100_000})
    with pytest.raises(UserError, match=r"encoder.safetensors is damaged \(maximum recursion depth"):
        load_network(path)


def test_a_flipped_bit_anywhere_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    save_network(path, Encoder(architecture("tests.own_encoders:with_batch_norm", image_size=8)))
    whole = path.read_bytes()
    load_network(path)
    places = [*range(0, len(whole), 37), whole.index(b'"image_size') + len('"image_size\\": [')]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"encoder.safetensors (is damaged|contains no network)"):
            load_network(path)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ([], "contains no network from this workflow"),
        ({"architecture": {}}, r"does not know \(architecture.encoder\): use the version that made it"),
        ({"head": "convolution"}, r"does not know \(head\)"),
        ({"head": "mlp", "classes": 7}, r"does not know \(classes\)"),
        ({"encoder": "resnet999"}, r"cannot be built \(Unknown model resnet999\)"),
        ({"encoder": "vit_b_16"}, "cannot be built"),
        ({"channels": -1}, "cannot be built"),
        ({"channels": 10**15}, "cannot be built"),
    ],
)
def test_a_description_that_fits_no_network_is_named(tmp_path: Path, changed: Any, sentence: str) -> None:
    path, description = tmp_path / "encoder.safetensors", {"architecture": architecture().model_dump(mode="json")}
    if isinstance(changed, dict) and changed.keys() & description["architecture"].keys():
        description["architecture"] |= changed
    else:
        description = changed and description | changed
    save_file({"weight": torch.zeros(1)}, path, metadata={"simclr": json.dumps(description)})
    with pytest.raises(UserError, match=rf"^{path} .*{sentence}"):
        load_network(path)


@pytest.mark.parametrize(
    ("name", "value"), [("projection_head.0.weight", torch.inf), ("backbone.1.running_mean", torch.nan)]
)
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, name: str, value: float) -> None:
    path, encoder = tmp_path / "encoder.safetensors", Encoder(architecture("tests.own_encoders:with_batch_norm"))
    encoder.state_dict()[name].view(-1)[0] = value
    save_network(path, encoder)
    with pytest.raises(UserError, match=rf"{path} holds weights that are not finite, first in {name}"):
        load_network(path)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    save_network(path, Encoder(architecture()))
    network = Encoder(architecture("resnet34"))
    network.architecture = architecture("resnet18")
    save_network(path, network)
    with pytest.raises(UserError, match="does not match the requested architecture"):
        load_network(path)
