"""What encoders are compared with depends on data and seed alone, and one measurement serves all runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from simclr_steps.data.packed import Split, read_description
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
from simclr_steps.networks.encoders import load_network
from simclr_steps.settings.compared import ComparedSettings, RandomNetwork
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.steps import compare as module
from simclr_steps.steps.compare import compare
from simclr_steps.steps.evaluate import evaluate
from tests.unit.conftest import WriteEncoder, WritePacked, deep_digits, digits

CPU = Hardware(gpus=0)
FEW = {"train": digits(60), "test": digits(30, 60)}


def test_random_weights_depend_on_the_seed_alone(write_packed: WritePacked, write_encoder: WriteEncoder) -> None:
    network, data = load_network(write_encoder()), read_description(write_packed())
    weights = []
    for number, seed in enumerate((1, 1, 2)):
        torch.rand(number + 1)  # another state of the global generator
        random = RandomNetwork(encoder="tests.own_encoders:smooth_with_batch_norm", seed=seed)
        weights.append(module._built(random, data).state_dict()["backbone.0.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], network.state_dict()["backbone.0.weight"])


def test_pixels_of_8_and_16_bits_are_numbers_between_0_and_1() -> None:
    for images, labels in (digits(9), deep_digits(9, channels=5)):
        pixels = module._pixels({"train": Split(images, labels)})["train"]
        assert pixels.dtype == np.float32
        np.testing.assert_allclose(pixels, images.reshape(9, -1) / np.iinfo(images.dtype).max, rtol=1e-6)


def test_pixels_of_large_images_are_left_out_with_a_note(
    write_packed: WritePacked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_PIXEL_INPUT", 63)
    settings = ComparedSettings(network=None, labels=[20], draws=1)
    compare(settings, data=write_packed(FEW), out=tmp_path / "pixels.json", hardware=CPU)
    content = json.loads((tmp_path / "pixels.json").read_text())
    assert content["results"] == [] and "Raw pixels were skipped" in content["notes"][0]


def test_one_comparison_serves_all_runs_and_is_refused_where_it_was_measured_on_other_data(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    pixels, encoder = tmp_path / "pixels.json", write_encoder()
    data, other = write_packed(FEW), write_packed(FEW, name="other")
    compare(ComparedSettings(network=None, labels=[20, 1000], draws=2), data=data, out=pixels, hardware=CPU)
    settings, found = EvaluationSettings(labels=[20, 1000], draws=2, augmentation=None), []
    for seed in (0, 1):
        out = tmp_path / f"seed{seed}"
        evaluate(settings, encoder=encoder, data=data, compared=[pixels], seed=seed, out=out, hardware=CPU)
        linear = json.loads((out / "linear.json").read_text())
        found.append([row for row in linear["results"] if row["input"] == "pixels"])
        assert linear["note"].count("1000") == 1, "what was left out of both is said once"
    assert found[0] == found[1] == json.loads(pixels.read_text())["results"] and len(found[0]) == 2
    with pytest.raises(UserError, match=r"pixels\.json was measured on data other than .*other: run compare again"):
        evaluate(settings, encoder=encoder, data=other, compared=[pixels], seed=0, out=tmp_path / "out", hardware=CPU)
