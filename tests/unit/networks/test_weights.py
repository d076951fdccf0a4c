"""Weights from files of several kinds are found, fitted and checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from simclr_steps.machine.errors import UserError
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.backbones import build_backbone
from simclr_steps.networks.encoders import load_network
from simclr_steps.networks.weight_files import Weights, read_weights
from simclr_steps.networks.weights import for_channels, put_into
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.pretrain import PretrainSettings

TIMM = "timm:test_resnet"


def backbone_of(encoder: str = "resnet18", channels: int = 3) -> nn.Module:
    settings = PretrainSettings(encoder=encoder, init="weights.pth")
    return build_backbone(resolve(settings, ImageFormat.of_8_bits((32, 32), channels)))[0]


def state_of(network: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in network.state_dict().items()}


def put(path: Path, encoder: str = "resnet18", channels: int = 3) -> dict[str, Tensor]:
    """Return the weights of a backbone that those of a file were put into."""
    backbone = backbone_of(encoder, channels)
    put_into(backbone, read_weights(path), path, encoder)
    return backbone.state_dict()


def as_torchvision(folder: Path, network: nn.Module) -> Path:
    torch.save(network.state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


def as_old_zip_free(folder: Path, network: nn.Module) -> Path:
    torch.save(network.state_dict(), folder / "weights.pth", _use_new_zipfile_serialization=False)
    return folder / "weights.pth"


def as_safetensors(folder: Path, network: nn.Module) -> Path:
    save_file(state_of(network), folder / "weights.safetensors")
    return folder / "weights.safetensors"


def as_lightning(folder: Path, network: nn.Module) -> Path:
    state = state_of(network, "model.module.encoder.")
    state |= {"model.head.0.weight": torch.zeros(3, 3), "criterion.weight": torch.zeros(3)}
    torch.save({"epoch": 3, "state_dict": state, "hyper_parameters": {"rate": 0.1}}, folder / "last.ckpt")
    return folder / "last.ckpt"


@pytest.mark.parametrize("write", [as_torchvision, as_old_zip_free, as_safetensors, as_lightning])
def test_every_kind_of_file_gives_its_weights(
    tmp_path: Path, write: Callable[[Path, nn.Module], Path], caplog: pytest.LogCaptureFixture
) -> None:
    given = torchvision.models.resnet18(weights=None)
    with caplog.at_level("INFO"):
        found = put(write(tmp_path, given))
    assert all(torch.equal(tensor, given.state_dict()[name]) for name, tensor in found.items())
    assert "120 of the backbone's 120 tensors" in caplog.text and "lacks" not in caplog.text
    if write is as_lightning:
        assert 'below "model.module.encoder."' in caplog.text and "criterion.weight" in caplog.text
    assert "left out" in caplog.text and ("fc.weight" in caplog.text or write is as_lightning)


@pytest.mark.parametrize("kind", ["encoder", "classifier"])
def test_our_own_files_give_theirs(tmp_path: Path, write_encoder: Callable[..., Path], kind: str) -> None:
    classes = ("a", "b") if kind == "classifier" else None
    path = write_encoder(encoder=TIMM, image_size=(32, 32), channels=3, classes=classes)
    expected = state_of(load_network(path).backbone)
    found = put(path, TIMM)
    assert read_weights(path).are_ours
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize("channels", [1, 2, 5, 6])
def test_the_first_kernel_is_made_for_other_channels_as_timm_does(channels: int) -> None:
    from timm.models import adapt_input_conv

    kernel = torch.rand(4, 3, 7, 7)
    assert torch.allclose(for_channels(kernel, channels), adapt_input_conv(channels, kernel.clone()))


@pytest.mark.parametrize("encoder", ["timm:test_vit", "timm:test_vit4"])
def test_a_transformer_whose_tokens_come_first_reads_other_channels(encoder: str, tmp_path: Path) -> None:
    given = timm.create_model(encoder.removeprefix("timm:")).state_dict()
    settings = PretrainSettings(encoder=encoder, init="weights.pth", view_size=160)
    gray = build_backbone(resolve(settings, ImageFormat.of_8_bits((160, 160), 1)))[0]
    assert put_into(gray, Weights(given, are_ours=False), tmp_path, encoder) == 3
    kernel = given["patch_embed.proj.weight"].sum(dim=1, keepdim=True)
    assert gray.state_dict()["patch_embed.proj.weight"].equal(kernel)


def test_gray_images_give_what_they_give_as_color(tmp_path: Path) -> None:
    given = torchvision.models.resnet18(weights=None).eval()
    gray = backbone_of(channels=1).eval()
    put_into(gray, read_weights(as_torchvision(tmp_path, given)), tmp_path, "resnet18")
    given.fc = nn.Identity()
    images = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        assert torch.allclose(gray(images), given(images.expand(-1, 3, -1, -1)), atol=1e-4)


def test_what_lacks_is_named_and_below_95_percent_is_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = torchvision.models.resnet18(weights=None).state_dict()
    path = tmp_path / "weights.pth"
    torch.save({name: tensor for name, tensor in state.items() if not name.startswith("bn1.")}, path)
    put(path)
    assert "lacks bn1.weight, bn1.bias, which stay as in an untrained network" in caplog.text
    torch.save({name: tensor for name, tensor in state.items() if not name.startswith("layer3.")}, path)
    with pytest.raises(UserError, match=r"has 8\d% of the parameters of resnet18 and lacks layer3.0.conv1.weight, "):
        put(path)


@pytest.mark.parametrize("kept", [("num_batches_tracked",), ()])
def test_statistics_that_lack_begin_as_they_are_and_a_frozen_encoder_needs_them(
    kept: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = torchvision.models.resnet18(weights=None)
    network.bn1.running_var.fill_(4)
    parameters = dict(network.named_parameters())
    path = tmp_path / "weights.pth"
    torch.save({name: t for name, t in network.state_dict().items() if name in parameters or name.endswith(kept)}, path)
    assert put(path)["bn1.running_var"].eq(1).all()
    told = "weights.pth lacks statistics of batch norm (bn1.running_mean, bn1.running_var, layer1.0.bn1.running_mean, "
    assert f"{told}layer1.0.bn1.running_var and 36 more), which begin with mean 0 and variance 1" in caplog.text
    assert "untrained" not in caplog.text
    with pytest.raises(UserError, match=r"lacks statistics .* and 36 more\), which a frozen encoder"):
        put_into(backbone_of(), read_weights(path), path, "resnet18", frozen=True)
    put_into(backbone_of(), read_weights(as_torchvision(tmp_path, network)), path, "resnet18", frozen=True)


def test_weights_of_another_depth_are_told(tmp_path: Path) -> None:
    path = as_torchvision(tmp_path, torchvision.models.resnet101(weights=None))
    with pytest.raises(UserError, match=r"layer3\.6\.conv1\.weight of .*weights.pth is left over: is it a resnet50\?"):
        put(path, "resnet50")
    path = as_torchvision(tmp_path, torchvision.models.resnet50(weights=None))
    with pytest.raises(UserError, match=r"has 5\d% of the parameters of resnet101 and lacks .*: is it a resnet101\?"):
        put(path, "resnet101")


def test_values_that_are_not_finite_and_other_shapes_are_told(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    state = torchvision.models.resnet18(weights=None).state_dict()
    for value, name in ((torch.nan, "bn1.running_mean"), (torch.inf, "layer1.0.conv1.weight")):
        torch.save(state | {name: torch.full_like(state[name], value)}, path)
        with pytest.raises(UserError, match=f"weights that are not finite, first in {name}"):
            put(path)
    torch.save(state | {"conv1.weight": torch.zeros(64, 3, 3, 3)}, path)
    with pytest.raises(UserError, match=r"conv1.weight of .* is 64 × 3 × 3 × 3, but 64 × 3 × 7 × 7 in resnet18"):
        put(path)


def test_a_student_and_its_teacher_in_one_file_are_told_apart_by_the_user(tmp_path: Path) -> None:
    student, teacher = (torchvision.models.resnet18(weights=None) for _ in range(2))
    path = tmp_path / "last.ckpt"
    state = state_of(student, "student.")
    del state["student.bn1.num_batches_tracked"]
    torch.save({"state_dict": state | state_of(teacher, "teacher.")}, path)
    told = r'^init: .*last.ckpt holds two networks that match equally well, below "student." and below "teacher.": '
    with pytest.raises(UserError, match=rf'{told}save one.* if name.startswith\("teacher."\)}}$'):
        put(path)
    torch.save(state_of(student) | state_of(teacher, "teacher."), path)
    with pytest.raises(UserError, match='equally well, at the top and below "teacher.": save'):
        put(path)
    torch.save({"epoch": 1, "student": state_of(student), "teacher": state_of(teacher)}, path)
    with pytest.raises(UserError, match="holds no tensors by name: it has some within student, teacher: save one of"):
        put(path)
    torch.save(state_of(student, "backbone.") | state_of(student, "model.0."), path)  # one module under two names
    assert torch.equal(put(path)["conv1.weight"], student.conv1.weight)


def test_our_projection_head_that_is_built_like_the_backbone_is_no_second_network(tmp_path: Path) -> None:
    def built() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4, bias=False))

    given, backbone = built(), built()
    state = state_of(built(), "projection_head.") | state_of(given, "backbone.")
    put_into(backbone, Weights(state, are_ours=True), tmp_path, "networks:mine")
    assert backbone.state_dict()["2.weight"].equal(given.state_dict()["2.weight"])


def test_files_that_are_no_float_weights_are_told(tmp_path: Path) -> None:
    path, state = tmp_path / "weights.pth", torchvision.models.resnet18(weights=None).state_dict()
    kernel = state["conv1.weight"]
    for content, told in (
        (state | {"conv1.weight": kernel.to(torch.complex64)}, "holds conv1.weight as no plain real numbers"),
        (state | {"conv1.weight": kernel.to_sparse()}, "holds conv1.weight as no plain real numbers"),
        (state | {"conv1.weight": kernel.to(torch.int8)}, "conv1.weight of .* is of torch.int8"),
        (state | {"conv1.weight": kernel[:, :0]}, "conv1.weight of .* is 64 × 0 × 7 × 7, but 64 × 3 × 7 × 7"),
        (state | {"bn1.running_var": -state["bn1.running_var"]}, "bn1.running_var of .* is negative or infinite"),
    ):
        torch.save(content, path)
        with pytest.raises(UserError, match=told):
            put(path)
