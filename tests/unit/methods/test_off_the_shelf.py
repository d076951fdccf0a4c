"""Encoders off the shelf are recognized, read images as they were made to, and are recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from simclr_steps.files import checksum, write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.methods.off_the_shelf import off_the_shelf
from simclr_steps.settings.compared import OffTheShelf
from simclr_steps.settings.image_format import ImageFormat

DIGITS = ImageFormat.of_8_bits((8, 8), 1).model_copy(update={"mean": [0.5], "std": [0.25]})
COLOR = ImageFormat.of_8_bits((32, 32), 3)


def saved(path: Path, name: str = "resnet18") -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    weights: dict[str, torch.Tensor] = torchvision.models.get_model(name, weights=None).state_dict()
    torch.save(weights, path)
    return weights


def test_a_file_of_torchvision_is_recognized_and_read_at_its_size_with_its_mean(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "net.pth"
    weights = saved(path)
    with caplog.at_level("INFO"):
        encoder = off_the_shelf(OffTheShelf(weights=str(path)), COLOR, None)
    architecture = encoder.architecture
    assert (architecture.encoder, architecture.stem, architecture.image_size) == ("resnet18", "imagenet", (224, 224))
    assert "file net.pth reads images of 32 × 32 pixels resized to 224 × 224" in caplog.text
    assert torch.equal(encoder.backbone.state_dict()["conv1.weight"], weights["conv1.weight"])
    assert encoder.normalization.mean.tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert architecture.started_from is not None and architecture.started_from.sha256 == checksum(path)
    gray = off_the_shelf(OffTheShelf(weights=str(path)), DIGITS, None)
    with pytest.raises(UserError, match=r"^compare: .*net\.pth has changed since the run was planned"):
        off_the_shelf(OffTheShelf(weights=str(path)), DIGITS, None, "0" * 64)
    summed = weights["conv1.weight"].sum(dim=1, keepdim=True)
    assert torch.equal(gray.backbone.state_dict()["conv1.weight"], summed)
    assert gray.normalization.mean.tolist() == [0.5], "the images' own, as none is published for one channel"


def test_a_file_that_lacks_a_few_tensors_is_recognized(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "net.pth"
    weights = saved(path)
    torch.save({name: tensor for name, tensor in weights.items() if name not in ("conv1.weight", "bn1.bias")}, path)
    assert off_the_shelf(OffTheShelf(weights=str(path)), COLOR, None).architecture.encoder == "resnet18"
    assert "net.pth lacks conv1.weight, bn1.bias, which stay as in an untrained network" in caplog.text
    torch.save({name: tensor for name, tensor in weights.items() if "layer4" not in name}, path)
    with pytest.raises(UserError, match=r"^compare: .*net\.pth is neither "):
        off_the_shelf(OffTheShelf(weights=str(path)), COLOR, None)


@pytest.mark.parametrize("encoder", [None, "timm:test_vit"])
def test_what_is_no_file_is_one_sentence(encoder: str | None, tmp_path: Path) -> None:
    for name, sentence in (("", "is a folder: give the path"), ("net.pth", "does not exist: give the path of a file")):
        with pytest.raises(UserError, match=f"^compare: {tmp_path / name} {sentence}"):
            off_the_shelf(OffTheShelf(weights=str(tmp_path / name), encoder=encoder), COLOR, None)


def test_a_file_without_the_statistics_of_batch_norm_is_one_sentence(tmp_path: Path) -> None:
    weights = saved(tmp_path / "net.pth")
    torch.save({name: tensor for name, tensor in weights.items() if ".running_" not in name}, tmp_path / "net.pth")
    with pytest.raises(UserError, match=r"^compare: .*net\.pth lacks statistics of batch norm \(bn1\.running_mean, "):
        off_the_shelf(OffTheShelf(weights=str(tmp_path / "net.pth")), COLOR, None)


@pytest.mark.parametrize("name", ["resnet34", "resnext50_32x4d", "wide_resnet50_2"])
def test_networks_of_torchvision_are_told_apart(name: str, tmp_path: Path) -> None:
    saved(tmp_path / "net.pth", name)
    assert off_the_shelf(OffTheShelf(weights=str(tmp_path / "net.pth")), COLOR, None).architecture.encoder == name


def test_published_weights_are_those_that_were_downloaded_for_the_size_that_is_published(tmp_path: Path) -> None:
    saved(tmp_path / "net.pth")
    facts = {"name": "resnet18.IMAGENET1K_V1", "path": str(tmp_path / "net.pth"), "source": "https://example.org/net"}
    facts |= {"sha256": checksum(tmp_path / "net.pth"), "license": "BSD-3-Clause"}
    write_json(tmp_path / "net.json", facts)
    encoder = off_the_shelf(OffTheShelf(weights="torchvision:resnet18"), COLOR, tmp_path / "net.json")
    origin = encoder.architecture.started_from
    assert origin is not None and {**facts, **origin.model_dump()} == {**facts, "part": None}


def test_a_file_of_another_network_is_named(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.ones(2, 2)}, tmp_path / "net.pth")
    way_out = r"in {encoder: timm:NAME, weights: .*net\.pth}$"
    with pytest.raises(UserError, match=rf"^compare: .*net\.pth is neither .* {way_out}"):
        off_the_shelf(OffTheShelf(weights=str(tmp_path / "net.pth")), COLOR, None)


def test_a_file_of_a_network_of_timm_is_read_as_that_network_with_its_mean(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    network: Any = timm.create_model("test_vit")
    save_file({f"module.{name}": tensor for name, tensor in network.state_dict().items()}, path)
    encoder = off_the_shelf(OffTheShelf(weights=str(path), encoder="timm:test_vit"), COLOR, None)
    assert (encoder.architecture.encoder, encoder.architecture.image_size) == ("timm:test_vit", (160, 160))
    assert encoder.normalization.mean.tolist() == [0.5, 0.5, 0.5]
    images = torch.rand(2, 3, 160, 160)
    network.eval().reset_classifier(0)
    with torch.no_grad():
        torch.testing.assert_close(encoder.eval()(images)[0], network((images - 0.5) / 0.5), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("timm:test_vit2", r"net\.pth has .* of the parameters of timm:test_vit2"),
        ("timm:test_vitt", 'has no network "test_vitt"; did you mean "timm:test_vit'),
        ("resnet50", r"net\.pth has .* of the parameters of resnet50"),
    ],
)
def test_a_file_of_another_network_than_named_is_one_sentence(name: str, sentence: str, tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.ones(2, 2)}, tmp_path / "net.pth")
    with pytest.raises(UserError, match=f"^compare: .*{sentence}"):
        off_the_shelf(OffTheShelf(weights=str(tmp_path / "net.pth"), encoder=name), COLOR, None)


@pytest.mark.parametrize(
    ("name", "sentence"), [("resnet18.a1_in1", 'did you mean "resnet18.a1_in1k"'), ("x.y", "has no")]
)
def test_a_tag_that_timm_does_not_know_is_one_sentence(name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=f"^compare: .*{sentence}"):
        off_the_shelf(OffTheShelf(weights=f"timm:{name}"), COLOR, None)
