"""Which file a pretraining starts from, and which mean its encoder then subtracts."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from simclr_steps.files import checksum, write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.methods.first_weights import first_weights, start_from
from simclr_steps.networks.architecture import StartedFrom, resolve
from simclr_steps.networks.encoders import Encoder, save_network
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings

TIMM = "timm:test_resnet"
OWN = "tests.own_encoders:smooth_with_batch_norm"


def settings(encoder: str = OWN, init: str = "random") -> PretrainSettings:
    return PretrainSettings(encoder=encoder, init=init, projection_head=ProjectionHead(hidden_size=8, output_size=4))


def build(encoder: str = OWN, channels: int = 3) -> Encoder:
    form = ImageFormat.of_8_bits((32, 32), channels).model_copy(
        update={"mean": [0.5] * channels, "std": [0.25, *[0.0] * (channels - 1)]}
    )
    return Encoder(resolve(settings(encoder), form))


def statistics(encoder: Encoder) -> tuple[list[float], list[float]]:
    return encoder.normalization.mean.tolist(), encoder.normalization.std.tolist()


def saved(path: Path, encoder: Encoder) -> Path:
    save_network(path, encoder)
    return path


def test_random_weights_have_no_file_and_a_tag_without_effect_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert first_weights(settings()) is None and not caplog.messages
    assert first_weights(settings("timm:resnet18.a1_in1k")) is None
    assert "timm:resnet18.a1_in1k starts from random weights; its tag has an effect with init: published" in caplog.text


def test_a_file_of_the_user_is_recorded_with_its_checksum_and_one_that_is_absent_is_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with pytest.raises(UserError, match=r"^init: .*weights\.pth does not exist: write random, published or the path"):
        first_weights(settings(init=str(path)))
    with pytest.raises(UserError, match=f"^{tmp_path} is a folder: give the path of the file of weights in it$"):
        first_weights(settings(init=str(tmp_path)))
    path.write_bytes(b"weights")
    found = first_weights(settings(init=str(path)))
    assert found is not None and found.path == path
    assert found.origin == StartedFrom(name="weights.pth", source=str(path), sha256=checksum(path))
    assert first_weights(settings(init=str(path)), planned=checksum(path)) == found
    with pytest.raises(UserError, match=r"^init: .*weights\.pth has changed since the run was planned: "):
        first_weights(settings(init=str(path)), planned=hashlib.sha256(b"planned").hexdigest())


def test_published_weights_are_the_file_that_was_downloaded_and_no_other(tmp_path: Path) -> None:
    published, path, facts = settings("resnet18", "published"), tmp_path / "net.pth", tmp_path / "weights.json"
    with pytest.raises(UserError, match="^init: published needs what download_weights writes"):
        first_weights(published)
    path.write_bytes(b"weights")
    origin = {
        "name": "resnet18.V1",
        "source": "https://example.org/n.pth",
        "sha256": checksum(path),
        "license": "MIT",
    }
    write_json(facts, {**origin, "path": str(path)})
    found = first_weights(published, facts)
    assert found is not None and (found.path, found.origin) == (path, StartedFrom(**origin))
    for change in (lambda: path.write_bytes(b"changed"), path.unlink):
        change()
        with pytest.raises(UserError, match=r"net\.pth is not what .*weights\.json describes: delete .*weights\.json"):
            first_weights(published, facts)


def test_the_backbone_starts_from_the_file_and_the_projection_head_does_not(tmp_path: Path) -> None:
    given, encoder = build(), build()
    start_from(encoder, saved(tmp_path / "given.safetensors", given))

    def equal(part: str) -> list[bool]:
        own, others = (getattr(network, part).state_dict() for network in (encoder, given))
        return [torch.equal(tensor, others[name]) for name, tensor in own.items() if name.endswith("weight")]

    assert all(equal("backbone")) and not any(equal("projection_head"))


def test_which_of_a_files_networks_it_starts_from_is_recorded(tmp_path: Path) -> None:
    path, state = tmp_path / "last.ckpt", build(TIMM).backbone.state_dict()
    origin = StartedFrom(name=path.name, source=str(path), sha256="12ab")
    form = ImageFormat.of_8_bits((32, 32), 3)
    for content, part in (
        ({"model": state, "model_ema": {"module": {**state}}}, "model"),
        ({"model": state}, None),
        ({"ema": {"module": state}}, "ema.module"),
    ):
        torch.save(content, path)
        encoder = Encoder(resolve(settings(TIMM, str(path)), form, origin))
        start_from(encoder, path)
        assert encoder.architecture.started_from == origin.model_copy(update={"part": part})


def test_the_mean_is_that_of_our_own_file_and_none_where_that_has_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    given, path = build(), tmp_path / "given.safetensors"
    encoder = build()
    start_from(encoder, saved(path, given))
    assert statistics(encoder) == ([0] * 3, [1] * 3)
    assert "the encoder reads values in [0, 1], as its weights do" in caplog.text
    given.normalization.set([0.25, 0.5, 0.75], [0.5, 0.25, 0.125])
    start_from(encoder, saved(path, given))
    assert statistics(encoder) == ([0.25, 0.5, 0.75], [0.5, 0.25, 0.125])
    assert "subtracts the mean 0.250 0.500 0.750 and divides by the standard deviation 0.500 0.250" in caplog.text


def test_weights_of_others_bring_the_mean_that_they_were_published_with(tmp_path: Path) -> None:
    def written(encoder: str) -> Path:
        state: dict[str, Tensor] = build(encoder).backbone.state_dict()
        torch.save(state, tmp_path / "other.pth")
        return tmp_path / "other.pth"

    encoder, own = build(TIMM), build()
    start_from(encoder, written(TIMM))
    expected: Any = pytest.approx([0.5] * 3)  # what timm says of test_resnet
    assert statistics(encoder) == (expected, expected)
    start_from(own, written(OWN))
    assert statistics(own) == ([0] * 3, [1] * 3), "nothing is known of the user's own network"


def test_for_other_channels_the_mean_is_that_of_the_images_and_a_constant_channel_is_not_divided(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    given, encoder = build(), build(channels=2)
    given.normalization.set([0.25] * 3, [0.5] * 3)
    start_from(encoder, saved(tmp_path / "given.safetensors", given))
    assert statistics(encoder) == ([0.5, 0.5], [0.25, 1.0])
    assert "which these images have, as the weights are for 3 channels" in caplog.text


@pytest.mark.parametrize(
    ("channels", "why"), [(3, "the weights are for 1 channel"), (1, "those of the weights are unknown")]
)
def test_weights_for_gray_images_do_not_bring_the_mean_of_color_images(
    channels: int, why: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    torch.save(build(TIMM, channels=1).backbone.state_dict(), tmp_path / "gray.pth")
    encoder = build(TIMM, channels)
    start_from(encoder, tmp_path / "gray.pth")
    assert statistics(encoder) == ([0.5] * channels, [0.25, 1.0, 1.0][:channels])
    assert f"which these images have, as {why}" in caplog.text and "were made with" not in caplog.text
    told = "the first kernel was made for 1 channel: the encoder repeats and scales it for 3"
    assert (told in caplog.text) == (channels == 3)
