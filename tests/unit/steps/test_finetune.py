"""Fine-tuning uses the labels that it was given, trains what it should, and judges on the test split at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, roc_auc_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torchmetrics.functional.classification import multiclass_calibration_error

from simclr_steps.data.correct import read_correct
from simclr_steps.data.packed import read_description, read_split
from simclr_steps.data.splits import stratified_draw
from simclr_steps.evaluation.calibration import fitted_temperature
from simclr_steps.files import checksum, read_table
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
from simclr_steps.methods.classifier import Supervised
from simclr_steps.methods.off_the_shelf import started
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Classifier, load_classifier, load_network
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.steps.finetune import finetune
from tests.unit.conftest import digits
from tests.unit.finetuning import changed, train

OWN: dict[str, Any] = {"encoder": "tests.own_encoders:smooth_with_batch_norm"}


def test_metrics_equal_scikit_learns_on_the_saved_model(tmp_path: Path, encoder: Path, data: Path) -> None:
    metrics = train(tmp_path / "out", encoder, data)
    assert metrics["label_count"] == 40 and metrics["init"] == "pretrained" and len(metrics["draws"]) == 1
    model = load_classifier(tmp_path / "out" / "model.safetensors")
    for name in ("validation", "test"):
        split, ours = read_split(data, name), metrics["draws"][0][name]
        logits = torch.from_numpy(compute_features(model, split.images, torch.device("cpu"))[1]).double()
        guesses, chances = logits.argmax(dim=1).numpy(), logits.softmax(dim=1).numpy()
        calibrated, labels = torch.from_numpy(chances), torch.tensor(split.labels)
        error = float(multiclass_calibration_error(calibrated, labels, 10, n_bins=15))
        assert ours["calibrated_error"] == pytest.approx(error, abs=1e-5)
        chances = (logits * model.temperature).softmax(dim=1).numpy()
        error = float(multiclass_calibration_error(torch.from_numpy(chances), labels, 10, n_bins=15))
        assert ours["calibration_error"] == pytest.approx(error, abs=1e-5)
        assert ours["accuracy"] == pytest.approx(accuracy_score(split.labels, guesses))
        assert ours["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(split.labels, guesses))
        assert ours["macro_f1"] == pytest.approx(f1_score(split.labels, guesses, average="macro", zero_division=0))
        assert ours["auroc"] == pytest.approx(roc_auc_score(split.labels, chances, multi_class="ovr"), abs=1e-4)
        assert ours["confusion_matrix"] == confusion_matrix(split.labels, guesses).tolist()
    assert metrics["draws"][0]["test"]["images"] == 60
    assert metrics["draws"][0]["temperature"] == model.temperature
    [(key, right)] = read_correct(tmp_path / "out" / "correct.npz").right.items()
    assert key == ("40", 0) and right.tolist() == (split.labels == guesses).tolist(), "of the test split, judged last"


def test_the_temperature_is_that_of_the_hold_out_and_1_without_its_labels(
    tmp_path: Path, encoder: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    settings = changed(labels=1.0, epochs=4, learning_rate=0.1)
    one = train(tmp_path / "one", encoder, data, settings)["draws"][0]
    model, split = load_network(tmp_path / "one/model.safetensors"), read_split(data, "validation")
    logits = torch.from_numpy(compute_features(model, split.images, torch.device("cpu"))[1]) * one["temperature"]
    assert one["temperature"] == pytest.approx(fitted_temperature(logits, torch.tensor(split.labels)), rel=1e-3)
    assert one["temperature"] != 1 and one["test"]["calibrated_error"] != one["test"]["calibration_error"]
    assert f"temperature {one['temperature']:.4g}, fitted on the 60 labels of the hold-out" in caplog.messages
    np.save(data / "validation.labels.npy", np.full(60, -1))
    without = train(tmp_path / "without", encoder, data, settings)["draws"][0]
    assert without["temperature"] == load_classifier(tmp_path / "without/model.safetensors").temperature == 1
    assert "temperature 1: the hold-out has no labels, so the probabilities are not calibrated" in caplog.messages
    assert without["test"].pop("calibrated_error") == without["test"]["calibration_error"]
    del one["test"]["calibrated_error"]
    assert one["test"] == without["test"], "all else stays"


def test_from_scratch_depends_on_network_and_seed_only(tmp_path: Path, data: Path) -> None:
    settings = changed(init="random", network=OWN, epochs=1, learning_rate=1e-12)
    metrics = [train(tmp_path / str(number), None, data, settings, seed=number // 2) for number in range(3)]
    one, again, other = (load_file(tmp_path / str(number) / "model.safetensors") for number in range(3))
    assert all(torch.equal(one[name], again[name]) for name in one)
    first = "backbone.0.weight"
    assert (one[first] - other[first]).norm() > 0.1
    torch.manual_seed(int(np.random.SeedSequence((0, 0)).generate_state(1)[0]))
    untrained = Classifier(resolve(PretrainSettings(**OWN), read_description(data).image_format), 10, "linear")
    assert torch.allclose(one[first], untrained.state_dict()[first], atol=1e-8), "as it was before a folder was shared"
    assert metrics[0]["architecture"]["encoder"] == OWN["encoder"] and metrics[0]["init"] == "random"


def test_published_weights_are_trained_as_a_pretraining_would_begin_with_them(tmp_path: Path, data: Path) -> None:
    torch.manual_seed(1)
    file, described = tmp_path / "weights.pth", tmp_path / "weights.json"
    torch.save(timm.create_model("test_resnet").state_dict(), file)
    facts = {"name": "timm=test_resnet.r160_in1k", "source": "s", "sha256": checksum(file), "license": None}
    described.write_text(json.dumps({**facts, "path": str(file)}))
    network: dict[str, Any] = {"encoder": "timm:test_resnet.r160_in1k", "view_size": 32}
    still = changed(init="published", network=network, epochs=1, learning_rate=1e-12, freeze=True)
    metrics = train(tmp_path / "out", None, data, still, weights=described)
    model = load_network(tmp_path / "out" / "model.safetensors")
    form = read_description(data).image_format
    expected = started(PretrainSettings(**network, init="published"), form, described)
    for name in ("backbone", "normalization"):
        ours, theirs = (getattr(one, name).state_dict() for one in (model, expected))
        assert ours and all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert metrics["run"]["started_from"] == metrics["architecture"]["started_from"] == {**facts, "part": None}
    with pytest.raises(UserError, match="init: published needs what download_weights writes"):
        train(tmp_path / "none", None, data, still)
    torch.save(dict(timm.create_model("test_resnet").named_parameters()), file)
    described.write_text(json.dumps({**facts, "sha256": checksum(file), "path": str(file)}))
    with pytest.raises(UserError, match="lacks statistics of batch norm .* which a frozen encoder does not learn"):
        train(tmp_path / "none", None, data, still, weights=described)


def test_an_encoder_is_named_where_it_is_started_from_and_nowhere_else(
    tmp_path: Path, encoder: Path, data: Path
) -> None:
    with pytest.raises(UserError, match="^init: pretrained needs an encoder: .* by --encoder$"):
        train(tmp_path / "out", None, data)
    with pytest.raises(UserError, match="^--encoder: init: random starts from no encoder: omit it$"):
        train(tmp_path / "out", encoder, data, changed(init="random", network=OWN))


def test_a_weighted_loss_is_told_with_the_weights(
    tmp_path: Path, encoder: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = np.load(data / "train.labels.npy")
    labels[np.flatnonzero(labels == 0)[:10]] = 1
    np.save(data / "train.labels.npy", labels)
    counts = np.bincount(labels)
    assert counts.max() > 2 * counts.min()
    least, most = (len(labels) / (10 * count) for count in (counts.max(), counts.min()))
    told = f"class_weights: balanced: an image counts {least:.2f} to {most:.2f} in the loss"
    for weights in ("none", "balanced"):
        caplog.clear()
        with caplog.at_level("INFO"):
            train(tmp_path / weights, encoder, data, changed(epochs=1, labels=1.0, class_weights=weights))
        assert (told in caplog.messages) == (weights == "balanced")


def test_labels_of_the_test_split_change_nothing_but_the_judgment(tmp_path: Path, encoder: Path, data: Path) -> None:
    settings = changed(epochs=1)
    first = train(tmp_path / "one", encoder, data, settings)
    labels = np.load(data / "test.labels.npy")
    np.save(data / "test.labels.npy", np.roll(labels, 1))
    second = train(tmp_path / "two", encoder, data, settings)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert first["draws"][0]["validation"] == second["draws"][0]["validation"]
    assert first["draws"][0]["test"] != second["draws"][0]["test"]


def test_draws_use_other_labels_and_the_first_is_kept(tmp_path: Path, encoder: Path, data: Path) -> None:
    several = train(tmp_path / "several", encoder, data, changed(epochs=1, draws=2))
    one = train(tmp_path / "one", encoder, data, changed(epochs=1))
    assert several["draws"][0] == one["draws"][0] and several["draws"][0] != several["draws"][1]
    kept, expected = (load_file(tmp_path / name / "model.safetensors") for name in ("several", "one"))
    assert all(torch.equal(kept[name], expected[name]) for name in kept)
    assert [row["draw"] for row in read_table(tmp_path / "several" / "history.csv")] == ["0", "1"]
    right = read_correct(tmp_path / "several" / "correct.npz").right
    shares = {key: pytest.approx(mask.mean()) for key, mask in right.items()}
    assert shares == {("40", draw): several["draws"][draw]["test"]["accuracy"] for draw in (0, 1)}


def test_each_draw_is_a_curve_also_where_it_was_interrupted(
    tmp_path: Path, encoder: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, validate = changed(draws=2), Supervised.validate

    def crash(module: Supervised) -> dict[str, float | None]:
        if (folders := [*tmp_path.glob("out.work/*/draw1/csv/metrics.csv")]) and len(read_table(folders[0])) == 2:
            raise RuntimeError("in the last epoch of the second draw")
        return validate(module)

    with monkeypatch.context() as patched:
        patched.setattr(Supervised, "validate", crash)
        with pytest.raises(RuntimeError, match="second draw"):
            train(tmp_path / "out", encoder, data, settings)
    train(tmp_path / "out", encoder, data, settings)
    history = read_table(tmp_path / "out" / "history.csv")
    curves = tmp_path / "out" / "tensorboard"
    assert sorted(folder.name for folder in curves.iterdir()) == ["draw0", "draw1"]
    for draw in (0, 1):
        logged = EventAccumulator(str(curves / f"draw{draw}")).Reload()
        rows = [row for row in history if row["draw"] == str(draw)]
        for column in ("loss", "validate_accuracy"):
            values = [(event.step, event.value) for event in logged.Scalars(column)]
            expected = [(int(row["step"]), float(row[column])) for row in rows if row[column]]
            assert values == [(step, pytest.approx(value)) for step, value in expected]
        told = (curves / f"draw{draw}" / "hparams.yaml").read_text()
        assert f"draw: {draw}\n" in told and "epochs: 3\n" in told and "learning_rate: 0.02\n" in told


def test_labels_of_whole_groups_are_trained_on_and_what_is_right_in_each_group_is_counted(
    tmp_path: Path, encoder: Path, write_packed: Callable[..., Path]
) -> None:
    counts = {"train": 200, "validation": 60, "test": 60, "unlabeled": 0}
    data = write_packed(groups={name: [f"g{row // 20}" for row in range(count)] for name, count in counts.items()})
    metrics = train(tmp_path / "out", encoder, data, changed(labels={"groups": 3}, epochs=1))
    draw = metrics["draws"][0]
    assert (draw["label_count"], draw["label_groups"], draw["budget"]) == (60, 3, "{groups: 3}")
    for name in ("validation", "test"):
        by_group = draw[name]["by_group"]
        assert by_group["images"] == [20, 20, 20]
        for metric in ("accuracy", "top_5_accuracy"):
            assert sum(by_group[metric]) == pytest.approx(60 * draw[name][metric])
    correct = read_correct(tmp_path / "out" / "correct.npz")
    assert list(correct.right) == [("{groups: 3}", 0)]
    assert correct.groups is not None and correct.groups.tolist() == [row // 20 for row in range(60)]


def test_where_the_test_split_has_no_labels_the_hold_out_tells_which_images_are_right(
    tmp_path: Path, encoder: Path, write_packed: Callable[..., Path]
) -> None:
    images, labels = digits(60, 260)
    for name, hold_out in {"labeled": digits(60, 200), "unlabeled": (images, 0 * labels - 1)}.items():
        splits = {"train": digits(200), "validation": hold_out, "test": (images, 0 * labels - 1)}
        metrics = train(tmp_path / name, encoder, write_packed(splits, name=f"{name}.data"), changed(epochs=1))
        right = read_correct(tmp_path / name / "correct.npz").right
        judged = metrics["draws"][0]["validation"]
        assert [mask.mean() for mask in right.values()] == ([pytest.approx(judged["accuracy"])] if judged else [])


def test_each_draw_is_judged_per_image_of_tiles_as_well(tmp_path: Path, encoder: Path, data: Path) -> None:
    table = pd.read_parquet(data / "test.rows.parquet")
    parents = [f"{label}.{row % 2}" for row, label in enumerate(table["label"])]
    table.assign(parent=parents, x="0", y="0", width="8", height="8").to_parquet(data / "test.rows.parquet")
    metrics = train(tmp_path / "out", encoder, data, changed(labels=20, epochs=1, draws=2))
    for draw in metrics["draws"]:
        assert draw["test"]["parents"]["images"] == len(set(parents))
        assert 0 <= draw["test"]["parents"]["accuracy"] <= 1 and "parents" not in draw["validation"]


def test_keeping_the_best_without_a_labeled_hold_out_is_refused(
    tmp_path: Path, encoder: Path, write_packed: Callable[..., Path]
) -> None:
    images, labels = digits(60)
    data = write_packed({"train": digits(200), "validation": (images, 0 * labels - 1), "test": digits(60, 260)})
    with pytest.raises(UserError, match="keep: best needs labels in the hold-out"):
        train(tmp_path / "out", encoder, data, changed(keep="best"))


@pytest.mark.slow
def test_layers_near_the_images_learn_slower(tmp_path: Path, write_encoder: Callable[..., Path], data: Path) -> None:
    encoder = write_encoder(encoder="resnet18")
    first, last = "backbone.conv1.weight", "backbone.layer4.1.conv2.weight"
    before, moved = load_file(encoder), {}
    for decay in (1.0, 0.5):
        train(tmp_path / str(decay), encoder, data, changed(layer_decay=decay, epochs=1))
        after = load_file(tmp_path / str(decay) / "model.safetensors")
        moved[decay] = {name: (after[name] - before[name]).norm() for name in (first, last)}
    assert 0 < moved[0.5][first] < moved[1.0][first] / 50, "nine layers lie between it and the head"
    assert moved[1.0][last] / 3 < moved[0.5][last] < moved[1.0][last]


def test_a_number_of_labels_of_each_class_is_used_and_recorded(tmp_path: Path, encoder: Path, data: Path) -> None:
    metrics = train(tmp_path / "out", encoder, data, changed(labels={"per_class": 3}, epochs=1))
    assert metrics["label_count"] == 30 and metrics["labels"] == {"per_class": 3}


def test_a_data_set_without_labels_is_refused(tmp_path: Path, encoder: Path, write_packed: Callable[..., Path]) -> None:
    full = read_split(write_packed(name="full"), "train")
    nothing = (full.images[:0], full.labels[:0])
    unlabeled = (full.images, full.labels * 0 - 1)
    data = write_packed({"train": unlabeled, "validation": nothing, "test": nothing, "unlabeled": nothing}, classes=())
    with pytest.raises(UserError, match="at least two classes, but the training split of data has 0: omit finetunes"):
        train(tmp_path / "out", encoder, data)


def test_a_single_class_is_refused_before_anything_is_trained(
    tmp_path: Path, encoder: Path, write_packed: Callable[..., Path]
) -> None:
    splits = {split: (images, 0 * labels) for split, (images, labels) in {"train": digits(40)}.items()}
    nothing = digits(0)
    data = write_packed({**splits, "validation": nothing, "test": nothing}, classes=("photo",))
    with pytest.raises(UserError, match="at least two classes, but the training split of data has 1: omit finetunes"):
        train(tmp_path / "out", encoder, data)
    assert not (tmp_path / "out.work").exists()


@pytest.mark.parametrize(
    ("labels", "message"), [(3, "too few for 10 classes"), (500, "exceeds the 200 available labels")]
)
def test_too_few_and_too_many_labels_are_refused(
    tmp_path: Path, encoder: Path, data: Path, labels: int, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        train(tmp_path / "out", encoder, data, changed(labels=labels))


def test_a_classifier_that_is_started_from_is_not_replaced(
    tmp_path: Path, data: Path, write_encoder: Callable[..., Path]
) -> None:
    model = write_encoder(classes=("a", "b"), name="run/model")
    with pytest.raises(UserError, match="--out: .*run/model.safetensors is read as well, and would be replaced"):
        train(model.parent, model, data)


def test_encoder_for_other_channels_is_refused(tmp_path: Path, data: Path, write_encoder: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="the network expects images with 3 channels, but these have 1"):
        train(tmp_path / "out", write_encoder(channels=3, name="color"), data)


def test_every_seed_is_given_the_same_draws_of_labels(
    tmp_path: Path, encoder: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    class Noted(Supervised):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            given.append(self.rows.tolist())

    monkeypatch.setattr("simclr_steps.steps.finetune.Supervised", Noted)
    for seed in (0, 1):
        train(tmp_path / f"seed{seed}", encoder, data, changed(epochs=1, draws=2), seed=seed)
    labels = read_split(data, "train").labels
    assert given == [stratified_draw(labels, 40, (0, draw)).tolist() for draw in (0, 1)] * 2


@pytest.mark.parametrize(
    ("gpus", "device"), [pytest.param(0, "cpu", id="cpu"), pytest.param(1, "cuda", id="gpu", marks=pytest.mark.gpu)]
)
def test_classifiers_are_trained_and_judged_on_the_device(
    tmp_path: Path, encoder: Path, data: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, device: str
) -> None:
    devices = []

    def noted(network: Any, images: Any, device: torch.device) -> Any:
        devices.append(device.type)
        return compute_features(network, images, device)

    monkeypatch.setattr("simclr_steps.training.loading.compute_features", noted)
    monkeypatch.setattr("simclr_steps.methods.classifier.compute_features", noted)
    settings = changed(epochs=2)
    finetune(
        settings, encoder=encoder, data=data, seed=0, out=tmp_path / "out", work=tmp_path, hardware=Hardware(gpus=gpus)
    )
    assert devices == [device] * 3  # the hold-out after the last epoch, and then it and the test split


def test_judged_by_the_hold_out_it_reads_nothing_of_the_test_split(tmp_path: Path, encoder: Path, data: Path) -> None:
    whole = train(tmp_path / "whole", encoder, data)
    for part in ("images.npy", "labels.npy", "rows.parquet"):
        (data / f"test.{part}").unlink()
    metrics = train(tmp_path / "out", encoder, data, judged_by="validation")
    assert (whole["judged_by"], metrics["judged_by"]) == ("test", "validation")
    assert metrics["draws"][0]["validation"] == whole["draws"][0]["validation"] and "test" not in metrics["draws"][0]
    [right] = read_correct(tmp_path / "out" / "correct.npz").right.values()
    assert len(right) == 60
    assert np.mean(right) == pytest.approx(metrics["draws"][0]["validation"]["accuracy"])
