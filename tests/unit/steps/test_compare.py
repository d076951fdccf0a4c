"""What encoders are compared with depends on data and seed alone, and one measurement serves all runs."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from simclr_steps.data.packed import Split, read_description
from simclr_steps.evaluation import protocol
from simclr_steps.evaluation.protocol import VIEWS
from simclr_steps.files import checksum
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.progress import Progress
from simclr_steps.networks.encoders import load_network
from simclr_steps.settings.compared import ComparedSettings, RandomNetwork
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.steps import compare as module
from simclr_steps.steps.compare import compare
from simclr_steps.steps.evaluate import evaluate
from tests.unit.conftest import WriteEncoder, WritePacked, deep_digits, digits

CPU = Hardware(gpus=0)
FEW = {"train": digits(60), "test": digits(30, 60)}
OWN: dict[str, set[str]] = {"simclr": set(), "pixels": set(), "random": {"architecture"}}


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    knn, linear = (json.loads((folder / f"{name}.json").read_text()) for name in ("knn", "linear"))
    return knn, linear


def test_random_weights_depend_on_the_seed_alone(write_packed: WritePacked, write_encoder: WriteEncoder) -> None:
    network, form = load_network(write_encoder()), read_description(write_packed()).image_format
    weights = []
    for number, seed in enumerate((1, 1, 2)):
        torch.rand(number + 1)  # another state of the global generator
        random = RandomNetwork(encoder="tests.own_encoders:smooth_with_batch_norm", seed=seed)
        weights.append(module._network(random, form, None).state_dict()["backbone.0.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], network.state_dict()["backbone.0.weight"])


def test_pixels_of_8_and_16_bits_are_numbers_between_0_and_1() -> None:
    for images, labels in (digits(9), deep_digits(9, channels=5)):
        pixels = module._pixels({"train": Split(images, labels)})["train"]
        assert pixels.dtype == np.float32
        np.testing.assert_allclose(pixels, images.reshape(9, -1) / np.iinfo(images.dtype).max, rtol=1e-6)


def test_pixels_of_large_images_are_left_out_with_a_note_unless_these_are_few(
    write_packed: WritePacked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, data = ComparedSettings(network=None, labels=[20], draws=1), write_packed(FEW)
    monkeypatch.setattr(module, "LARGEST_PIXEL_INPUT", 63)
    compare(settings, data=data, out=tmp_path / "few", hardware=CPU)
    knn, linear = read(tmp_path / "few")
    assert knn["test"]["accuracy"] > 0.3 and linear["results"]
    monkeypatch.setattr(module, "MOST_PIXELS", 60 * 64 - 1)
    compare(settings, data=data, out=tmp_path / "many", hardware=CPU)
    for content in read(tmp_path / "many"):
        assert "Raw pixels were skipped" in content["note"] and "test" not in content
    assert content["results"] == []


@pytest.mark.slow
def test_each_is_measured_as_an_encoder_is(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    data, asked = write_packed(FEW), {"labels": [20, 1000], "draws": 2}
    evaluate(
        EvaluationSettings.model_validate(asked),
        encoder=write_encoder(),
        data=data,
        seed=0,
        out=tmp_path / "simclr",
        hardware=CPU,
    )
    network = {"encoder": "tests.own_encoders:smooth_with_batch_norm", "seed": 3}
    for name, given in (("pixels", None), ("random", network)):
        settings = ComparedSettings.model_validate({**asked, "network": given})
        compare(settings, data=data, out=tmp_path / name, hardware=CPU)
    found = {name: read(tmp_path / name) for name in ("simclr", "pixels", "random")}
    for name, (knn, linear) in found.items():
        assert knn["test"]["accuracy"] > 0.3 and knn["input"] == linear["input"] == name
        assert {row["input"] for row in linear["results"]} == {name}
        assert linear["probe"]["test"] > 0.3 and "1000" in linear["note"]
        keys = [
            set(content) - {"probe_on_views_C", "probe_on_views_balanced"}
            for content in (knn, linear, *found["simclr"])
        ]
        assert keys[:2] == [of_simclr | OWN[name] for of_simclr in keys[2:]], name
    assert (found["pixels"][1]["probe_on_views"] is None) and found["random"][1]["probe_on_views"]["test"] > 0.2
    assert found["random"][0]["run"]["seed"] == 3


@pytest.mark.slow
def test_an_encoder_in_a_file_measures_as_it_does_by_itself_and_its_file_is_recorded(
    write_packed: WritePacked,
    write_encoder: WriteEncoder,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, encoder, asked = write_packed(FEW), write_encoder(), EvaluationSettings(labels=[20], draws=1)
    evaluate(asked, encoder=encoder, data=data, seed=0, out=tmp_path / "simclr", hardware=CPU)
    settings = ComparedSettings.model_validate({**asked.model_dump(), "network": {"weights": str(encoder)}})
    monkeypatch.setattr(protocol, "Progress", partial(Progress, every=0, growth=0))
    with caplog.at_level("INFO"):
        compare(settings, data=data, out=tmp_path / "file", hardware=CPU)
    said = re.findall(r"features of (\d+) of 330 images and views, [\d.,]+ images and views/s, .+ left", caplog.text)
    counts = [int(number) for number in said]
    assert (
        len(counts) == 2 + VIEWS and counts == sorted(counts) and counts[-1] == 330
    )  # train, test, and the views of train
    (knn, linear), (own_knn, own_linear) = read(tmp_path / "file"), read(tmp_path / "simclr")
    assert knn["input"] == "file encoder.safetensors" and knn["test"] == own_knn["test"]
    assert linear["probe_on_views"] == own_linear["probe_on_views"]
    assert [row["accuracy"] for row in linear["results"]] == [row["accuracy"] for row in own_linear["results"]]
    assert knn["architecture"]["started_from"]["sha256"] == checksum(encoder)


@pytest.mark.slow
def test_what_a_pretraining_starts_from_is_measured_at_the_pretrainings_own_size(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    encoder, asked = write_encoder(image_size=(6, 6)), {"labels": [20], "draws": 1}
    data = write_packed(FEW)
    network = {"encoder": "tests.own_encoders:smooth_with_batch_norm", "init": str(encoder)}
    settings = ComparedSettings.model_validate({**asked, "network": network})
    compare(settings, data=data, weights_sha256=checksum(encoder), out=tmp_path / "start", hardware=CPU)
    knn, _ = read(tmp_path / "start")
    assert knn["input"] == "start" and knn["architecture"]["image_size"] == [8, 8]
    assert knn["architecture"]["started_from"]["sha256"] == checksum(encoder)
    published = ComparedSettings.model_validate({**asked, "network": {"encoder": "resnet18", "init": "published"}})
    with pytest.raises(UserError, match="init: published needs what download_weights writes"):
        compare(published, data=data, out=tmp_path / "published", hardware=CPU)
    with pytest.raises(ValidationError, match="init must be published or the path of a file"):
        ComparedSettings.model_validate({**asked, "network": {**network, "init": "random"}})
    weights = {name: tensor for name, tensor in load_file(encoder).items() if not name.endswith("running_mean")}
    save_file(weights, tmp_path / "bare.safetensors")
    bare = {**network, "init": str(tmp_path / "bare.safetensors")}
    compare(ComparedSettings.model_validate({**asked, "network": bare}), data=data, out=tmp_path / "bare", hardware=CPU)
    for content in read(tmp_path / "bare"):
        assert "no statistics of batch norm" in content["note"] and "test" not in content
    with pytest.raises(UserError, match=r"init: .*encoder\.safetensors has changed since the run was planned"):
        compare(settings, data=data, weights_sha256="0" * 64, out=tmp_path / "changed", hardware=CPU)
