"""Networks of torchvision, of timm and of users' own make features of images, or tell why not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from simclr_steps.machine.errors import UserError
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.backbones import build_backbone
from simclr_steps.networks.encoders import Encoder, load_network, save_network
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.sizes import Size

OWN = "tests.own_encoders:without_batch_norm"


def build(encoder: str, image_size: Size = (32, 32), channels: int = 3) -> tuple[torch.nn.Module, int]:
    return build_backbone(resolve(PretrainSettings(encoder=encoder), ImageFormat.of_8_bits(image_size, channels)))


@pytest.mark.parametrize(
    ("name", "image_size", "channels"),
    [
        ("timm:test_vit", (32, 32), 1),  # made for one size of images
        ("timm:test_vit", (48, 48), 3),
        ("timm:test_vit", (32, 64), 3),
        ("timm:vit_tiny_patch16_224", (64, 32), 1),
        ("resnet18", (8, 40), 3),
        ("timm:test_efficientnet", (30, 30), 1),  # reads images of any size
        ("timm:mobilenetv3_small_050", (32, 40), 3),  # has more features than its `num_features` tells
        (OWN, (8, 8), 1),
        ("tests.own_encoders:with_batch_norm", (20, 7), 3),
        ("resnet18", (8, 8), 5),
        ("resnext50_32x4d", (66, 66), 2),  # with the ImageNet stem
        ("timm:test_vit", (32, 32), 5),
        ("timm:test_resnet", (30, 30), 7),
        ("tests.own_encoders:with_batch_norm", (8, 8), 5),
    ],
)
def test_features_of_timms_and_own_networks_are_counted(name: str, image_size: Size, channels: int) -> None:
    backbone, feature_size = build(name, image_size, channels)
    assert backbone.training
    features = backbone(torch.rand(3, channels, *image_size))
    assert features.shape == (3, feature_size)


def test_timms_network_is_timms_own_without_its_classifier() -> None:
    import timm

    torch.manual_seed(0)
    ours = build("timm:test_resnet")[0].state_dict()
    torch.manual_seed(0)
    theirs = timm.create_model("test_resnet", pretrained=False, num_classes=0).state_dict()
    assert list(ours) == list(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("name", ["timm:test_vit", OWN])
def test_saved_network_is_built_again_by_its_name(name: str, tmp_path: Path) -> None:
    encoder = Encoder(resolve(PretrainSettings(encoder=name), ImageFormat.of_8_bits((32, 32), 1))).eval()
    save_network(tmp_path / "encoder.safetensors", encoder)
    loaded = load_network(tmp_path / "encoder.safetensors")
    images = torch.rand(2, 1, 32, 32)
    assert all(torch.equal(a, b) for a, b in zip(encoder(images), loaded(images), strict=True))
    assert loaded.architecture.encoder == name and loaded.architecture.stem is None


def test_unknown_timm_network_and_absent_timm_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match='has no network "convnext_tinny"; did you mean "timm:convnext_tiny"?'):
        build("timm:convnext_tinny")
    with pytest.raises(UserError, match=r'has no network "zzzzzzzz"; timm.list_models\(\) lists all'):
        build("timm:zzzzzzzz")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match="timm:test_vit needs timm, which is not installed"):
        build("timm:test_vit")


def test_network_that_cannot_read_the_images_is_named() -> None:
    with pytest.raises(UserError, match="encoder: timm:test_vit cannot read images of 20 × 32 pixels and 1 channel "):
        build("timm:test_vit", (20, 32), 1)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("lambda **_: 3", "returns a int: make it return a torch.nn.Module"),
        ("lambda **_: torch.nn.Identity()", r"returns \[2, 3, 8, 8\] for 2 images: make it return \[2, features\]"),
        ("lambda **_: torch.nn.Linear(5, 5)", "cannot read images of 8 × 8 pixels and 3 channels .*: use another"),
    ],
)
def test_own_network_that_makes_no_features_is_named(
    code: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"featureless{next(iter(request.node.callspec.indices.values()))}"  # a module is imported once in a process
    (tmp_path / f"{name}.py").write_text(f"import torch\nnetwork = {code}\n")
    with pytest.raises(UserError, match=f"encoder: {name}:network {message}"):
        build(f"{name}:network", (8, 8))
