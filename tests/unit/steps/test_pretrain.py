"""Pretraining resumes exactly, keeps the best candidates, and never reads the test split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

from simclr_steps.data.packed import read_description, read_split
from simclr_steps.files import checksum, read_json, read_table, write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.methods.candidate_files import read_candidate
from simclr_steps.methods.monitors import MONITORS, rankme
from simclr_steps.methods.off_the_shelf import started
from simclr_steps.networks import architecture
from simclr_steps.networks.encoders import Encoder, hash_of_weights, load_network, save_network
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.compared import starting_network
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.settings.finetuned import FinetunedSettings
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.selection import SelectionSettings
from simclr_steps.steps.evaluate import evaluate
from simclr_steps.steps.finetune import finetune
from simclr_steps.steps.pretrain import pretrain
from simclr_steps.steps.select import select
from tests.own_encoders import trained
from tests.unit.conftest import digits
from tests.unit.finetuning import train as tune
from tests.unit.pretraining import CPU, OWN, SMALL, history, train
from tests.unit.step_processes import link_own_encoders


def test_record_tells_what_made_it_and_test_split_is_not_read(tmp_path: Path, data: Path) -> None:
    for file in data.glob("test.*"):
        file.unlink()
    out = train(tmp_path / "out", data, SMALL.model_copy(update={"encoder": "resnet18", "epochs": 1}), seed=3)
    run = read_json(out / "run.json")
    assert run["settings"]["temperature"] == 0.2 and run["seed"] == 3 and run["data_hash"] == "pixels-of-data"
    assert run["architecture"]["stem"] == "small" and torch.__version__.startswith(run["versions"]["torch"])
    assert run["seconds"] > 0 and len(run["code_hash"]) == 16


def test_the_log_says_when_the_other_stem_would_be_faster_on_a_cpu(
    tmp_path: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = "`stem: imagenet` would be about ten times as fast"
    for size, stem in ((32, "auto"), (48, "imagenet"), (48, "auto")):
        assert said not in caplog.text
        settings = SMALL.model_copy(update={"encoder": "resnet18", "view_size": size, "stem": stem})
        with caplog.at_level("INFO"), pytest.raises(UserError, match="--compile always"):  # before it trains
            train(tmp_path / "out", data, settings, gpus=0, compile="always", processes=2)
    assert said in caplog.text


def test_unlabeled_images_are_trained_on(tmp_path: Path, write_packed: Callable[..., Path]) -> None:
    full = write_packed(name="full")
    split, hold_out = read_split(full, "train"), read_split(full, "validation")
    nothing = (split.images[:0], split.labels[:0])
    data = write_packed(
        {
            "train": (split.images[:60], split.labels[:60]),
            "validation": (hold_out.images, hold_out.labels),
            "test": nothing,
            "unlabeled": (split.images[60:], split.labels[60:] * 0 - 1),
        }
    )
    out = train(tmp_path / "out", data, SMALL.model_copy(update={"epochs": 1}))
    assert read_table(out / "history.csv")[1]["step"] == str(200 // 40)


@pytest.mark.parametrize(
    ("change", "hardware", "message"),
    [
        ({"global_batch_size": 400}, {"gpus": 0}, "global_batch_size 400 exceeds the 200 training images of data"),
        (
            {"global_batch_size": 25},
            {"gpus": 0, "processes": 2},
            "global_batch_size 25 cannot be divided evenly among 2",
        ),
        ({}, {"gpus": 99}, "--gpus 99 exceeds the"),
        ({"learning_rate": 1e30, "optimizer": "sgd"}, {"gpus": 0}, "are not finite at step"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(
    tmp_path: Path, data: Path, change: dict[str, Any], hardware: dict[str, int], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        train(tmp_path / "out", data, SMALL.model_copy(update=change), **hardware)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("file", "reason"),
    [("out", "is not a folder"), ("out/thesis.tex", "holds thesis.tex, which is not from this step")],
)
def test_an_out_that_is_the_users_is_refused_before_the_training(
    tmp_path: Path, data: Path, file: str, reason: str
) -> None:
    precious = tmp_path / file
    precious.parent.mkdir(exist_ok=True)
    precious.write_text("years of work")
    with pytest.raises(UserError, match=f"out {reason}"):
        train(tmp_path / "out", data)
    assert precious.read_text() == "years of work" and not (tmp_path / "out.work").exists()


def test_a_pretraining_that_is_continued_is_not_replaced(tmp_path: Path, data: Path) -> None:
    with pytest.raises(UserError, match="--out: .*out is read as well, and would be replaced"):
        out = work = parent = tmp_path / "out"
        pretrain(SMALL, data=data, seed=0, parent=parent, out=out, work=work, hardware=CPU)


def test_monitors_are_recorded_and_leave_the_training_as_it_is(tmp_path: Path, data: Path) -> None:
    often, never = (
        train(tmp_path / name / "out", data, SMALL.model_copy(update={"epochs": 3, "monitor_epochs": every}))
        for name, every in (("often", 2), ("never", 0))
    )
    for name in ("best_loss.ckpt", "last.ckpt"):  # batch norm's statistics among the weights
        one, other = (read_candidate(place / name)[0].weights for place in (often, never))
        assert all(torch.equal(one[weight], other[weight]) for weight in one)

    measured, unmeasured = history(often), history(never)
    assert [{**row, **dict.fromkeys(MONITORS, "")} for row in measured] == unmeasured
    assert [all(row[name] for name in MONITORS) for row in measured] == [
        True,
        False,
        True,
        True,
    ]  # at first, each second, last
    assert not any(measured[1][name] for name in MONITORS)
    assert [measured[0][name] for name in ("epoch", "step", "loss", "learning_rate")] == ["0", "0", "", ""]
    for row in read_table(often / "checkpoints.csv"):
        of_its_epoch = measured[int(row["epoch"])]
        assert all(row[name] == of_its_epoch[name] for name in ("step", "validate_loss", *MONITORS))
    _, encoder = read_candidate(often / "last.ckpt")
    features, _ = compute_features(encoder, read_split(data, "validation").images, torch.device("cpu"))
    assert float(measured[-1]["validate_rankme"]) == pytest.approx(rankme(torch.from_numpy(features)), rel=1e-4)


FULL_MEMORY = """
import math

import torch
import torchvision
from safetensors.torch import save_file
from torch import nn


class Hungry(nn.Linear):
    def forward(self, x):
        if self.training:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().forward(x.flatten(1))


def encoder(channels, image_size):
    return Hungry(channels * math.prod(image_size), 8)
"""


def test_full_memory_is_one_sentence_that_names_the_key(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hungry.py").write_text(FULL_MEMORY)
    hungry = OWN.model_copy(update={"encoder": "hungry:encoder"})
    sentence = (
        "the GPU ran out of memory at step 1: set micro_batch_size below 80, the number of views that pass through"
    )
    with pytest.raises(UserError, match=sentence):
        train(tmp_path / "out", data, hungry)
    encoder = tmp_path / "encoder.safetensors"
    save_network(encoder, Encoder(architecture.resolve(hungry, ImageFormat.of_8_bits((8, 8), 1))))
    with pytest.raises(UserError, match="the GPU ran out of memory at step 1: lower batch_size, which is 20"):
        finetune(
            FinetunedSettings(labels=40, batch_size=20),
            encoder=encoder,
            data=data,
            seed=0,
            out=tmp_path / "classifier",
            work=tmp_path / "work",
            hardware=CPU,
        )


def test_a_custom_encoder_gets_height_and_width_and_one_for_squares_is_refused_other_shapes(
    tmp_path: Path, write_packed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = {split: (np.tile(images, (1, 1, 2, 1)), labels) for split, (images, labels) in {"train": digits(40)}.items()}
    nothing = (np.zeros((0, 8, 16, 1), np.uint8), np.zeros(0, np.int64))
    data = write_packed({**wide, "validation": nothing, "test": nothing, "unlabeled": nothing})
    monkeypatch.chdir(tmp_path)
    link_own_encoders(tmp_path)
    (tmp_path / "squares.py").write_text(
        "from torch import nn\n"
        "def encoder(channels, image_size):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size[0] ** 2, 8))\n"
        "def any_shape(channels, image_size):\n"
        "    height, width = image_size\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, 8))\n"
    )
    squares = OWN.model_copy(update={"encoder": "squares:encoder", "epochs": 1})
    sentence = "encoder: squares:encoder cannot read images of 8 × 16 pixels and 1 channel .* or set view_size"
    with pytest.raises(UserError, match=sentence):
        train(tmp_path / "out", data, squares)
    assert train(tmp_path / "own", data, OWN.model_copy(update={"epochs": 1})).exists()
    assert train(tmp_path / "any", data, squares.model_copy(update={"encoder": "squares:any_shape"})).exists()
    assert train(tmp_path / "out", data, squares.model_copy(update={"view_size": 8})).exists()


def test_training_starts_from_given_weights_and_a_head_that_is_random(
    tmp_path: Path, write_packed: Callable[..., Path], write_encoder: Callable[..., Path]
) -> None:
    data, given = write_packed(), write_encoder(channels=3, name="given")
    settings = SMALL.model_copy(update={"init": str(given), "epochs": 1, "learning_rate": 1e-12})
    out = train(tmp_path / "out", data, settings)
    initial, encoder = read_candidate(out / "initial.ckpt")
    expected = load_network(given)
    assert isinstance(expected, Encoder) and (initial.epoch, initial.step) == (0, 0)
    first, second = encoder.backbone.state_dict(), expected.backbone.state_dict()
    assert torch.equal(first["0.weight"], second["0.weight"].sum(dim=1, keepdim=True))
    assert torch.equal(first["3.weight"], second["3.weight"])
    form = read_description(data).image_format
    as_compared = started(starting_network(settings).as_pretraining, form, None, frozen=True).state_dict()
    kept = {name: tensor for name, tensor in encoder.state_dict().items() if not name.startswith("projection_head")}
    assert all(torch.equal(as_compared[name], tensor) for name, tensor in kept.items())
    files = {row["file"]: row for row in read_table(out / "checkpoints.csv")}
    assert list(files)[-2:] == ["initial.ckpt", "last.ckpt"]
    knn = [row["validate_knn_accuracy"] for row in history(out)]
    assert [files[f"{name}.ckpt"]["validate_knn_accuracy"] for name in ("initial", "last")] == knn
    heads = [network.projection_head.state_dict()["0.weight"] for network in (encoder, expected)]
    assert not torch.allclose(heads[0], heads[1], atol=1e-2)
    origin = read_json(out / "run.json")["architecture"]["started_from"]
    assert origin == {
        "name": given.name,
        "source": str(given),
        "sha256": checksum(given),
        "license": None,
        "part": None,
    }
    select(SelectionSettings(), candidates=out, data=data, out=tmp_path / "chosen", hardware=CPU)
    chosen, few = tmp_path / "chosen/encoder.safetensors", EvaluationSettings(labels=[20], draws=1, augmentation=None)
    evaluate(few, encoder=chosen, data=data, seed=0, out=tmp_path / "evaluate", hardware=CPU)
    tune(tmp_path / "tuned", chosen, data, FinetunedSettings(labels=20, epochs=1))
    for file in ("chosen/selection.json", "evaluate/knn.json", "evaluate/linear.json", "tuned/metrics.json"):
        assert read_json(tmp_path / file)["run"]["started_from"] == origin


@pytest.mark.slow
def test_weights_of_torchvision_bring_the_mean_or_take_that_of_other_channels(
    tmp_path: Path, write_packed: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "resnet18.pth")
    settings = SMALL.model_copy(update={"encoder": "resnet18", "init": str(tmp_path / "resnet18.pth"), "epochs": 1})
    gray = write_packed()
    with caplog.at_level("INFO"):
        _, encoder = read_candidate(train(tmp_path / "gray", gray, settings) / "last.ckpt")
    assert "stem: auto is torchvision's own here" in caplog.text and encoder.architecture.stem == "imagenet"
    form = read_description(gray).image_format
    assert (encoder.normalization.mean.tolist(), encoder.normalization.std.tolist()) == (form.mean, form.std)
    splits = {name: read_split(gray, name) for name in ("train", "validation", "test")}
    color = write_packed({name: (split.images.repeat(3, 3), split.labels) for name, split in splits.items()}, name="c")
    _, encoder = read_candidate(train(tmp_path / "color", color, settings) / "last.ckpt")
    assert encoder.normalization.mean.tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert encoder.normalization.std.tolist() == pytest.approx([0.229, 0.224, 0.225])


def test_published_weights_are_those_that_were_downloaded(tmp_path: Path, data: Path) -> None:
    import timm

    file, facts = tmp_path / "model.safetensors", tmp_path / "weights.json"
    given = timm.create_model("test_resnet", num_classes=7)
    save_file(given.state_dict(), file)
    settings = SMALL.model_copy(
        update={"encoder": "timm:test_resnet.r160_in1k", "init": "published", "epochs": 1, "view_size": 32}
    )
    origin = {"name": "timm=test_resnet.r160_in1k", "source": "https://example.org/model.safetensors"}
    origin |= {"sha256": checksum(file), "license": "apache-2.0"}
    write_json(facts, {**origin, "path": str(file)})

    def start(weights: Path | None) -> None:
        pretrain(
            settings, data=data, seed=0, out=tmp_path / "out", work=tmp_path / "work", weights=weights, hardware=CPU
        )

    with pytest.raises(UserError, match="init: published needs what download_weights writes"):
        start(None)
    start(facts)
    assert read_json(tmp_path / "out/run.json")["architecture"]["started_from"] == {**origin, "part": None}
    file.write_bytes(b"changed")
    with pytest.raises(UserError, match="model.safetensors is not what .*weights.json describes"):
        start(facts)


def test_from_scratch_is_from_random_weights_although_the_encoder_brings_others(tmp_path: Path, data: Path) -> None:
    brings = SMALL.model_copy(update={"encoder": "tests.own_encoders:trained", "epochs": 1, "learning_rate": 1e-12})
    brought = trained(1, (8, 8)).state_dict()
    _, encoder = read_candidate(train(tmp_path / "out", data, brings) / "last.ckpt")
    assert not torch.allclose(encoder.backbone.state_dict()["0.weight"], brought["0.weight"], atol=1e-3)
    torch.save(brought, tmp_path / "file.pth")
    given = brings.model_copy(update={"init": str(tmp_path / "file.pth")})
    _, encoder = read_candidate(train(tmp_path / "given", data, given) / "last.ckpt")
    assert torch.allclose(encoder.backbone.state_dict()["0.weight"], brought["0.weight"], atol=1e-3)


def test_a_frozen_backbone_keeps_its_weights_and_statistics_until_it_is_free(tmp_path: Path, data: Path) -> None:
    settings = SMALL.model_copy(update={"epochs": 4, "freeze_epochs": 2, "backbone_learning_rate_factor": 0.5})
    out = train(tmp_path / "out", data, settings)
    first, frozen, free = (read_candidate(out / f"{name}.ckpt")[1] for name in ("epoch1", "epoch2", "epoch3"))
    assert hash_of_weights(first.backbone) == hash_of_weights(frozen.backbone) != hash_of_weights(free.backbone)
    assert hash_of_weights(first.projection_head) != hash_of_weights(frozen.projection_head)
    statistics = [network.backbone.state_dict()["1.running_mean"] for network in (frozen, free)]
    assert not torch.equal(*statistics)
