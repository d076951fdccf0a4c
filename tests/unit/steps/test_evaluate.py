from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier

from simclr_steps.data.correct import read_correct
from simclr_steps.data.packed import read_split
from simclr_steps.data.splits import stratified_draw
from simclr_steps.evaluation import few_labels, protocol
from simclr_steps.evaluation.calibration import calibrated_cross_entropy
from simclr_steps.evaluation.penalty import PENALTIES
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
from simclr_steps.methods import random_numbers
from simclr_steps.methods.views import random_views
from simclr_steps.networks.encoders import Encoder, load_network
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.compared import ComparedSettings
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.steps.compare import compare
from simclr_steps.steps.evaluate import evaluate
from tests.unit.conftest import WriteEncoder, WritePacked, digits

CPU = Hardware(gpus=0)
LIGHT = Augmentation(preset="digits", jitter_probability=0)
FEW = {"train": digits(60), "test": digits(30, 60)}


def read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    knn, linear = (json.loads((folder / f"{name}.json").read_text()) for name in ("knn", "linear"))
    return knn, linear


def run(data: Path, encoder: Path, out: Path, *, seed: int = 0, **keys: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    settings = EvaluationSettings(**{"labels": [20, 1.0], "draws": 2, **keys})
    random = {"encoder": "tests.own_encoders:smooth_with_batch_norm", "seed": seed}
    evaluate(settings, encoder=encoder, data=data, seed=seed, out=out, hardware=CPU)
    knn, linear = read(out)
    for name, network in (("random", random), ("pixels", None)):
        others = ComparedSettings.model_validate({**settings.model_dump(), "augmentation": None, "network": network})
        compare(others, data=data, out=out / name, hardware=CPU)
        linear["results"] += read(out / name)[1]["results"]
    return knn, linear


def test_figures_agree_with_scikit_learn_on_the_same_features(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    data, encoder = write_packed(), write_encoder()
    knn, linear = run(data, encoder, tmp_path / "out", seed=3)
    network, device = load_network(encoder), torch.device("cpu")
    splits = {name: read_split(data, name) for name in ("train", "test")}
    features = {name: compute_features(network, split.images, device)[0] for name, split in splits.items()}
    train, test = splits["train"].labels, splits["test"].labels
    reference = KNeighborsClassifier(10, metric="cosine").fit(features["train"], train)
    weighted = KNeighborsClassifier(200, metric="cosine", weights=lambda distances: np.exp((1 - distances) / 0.1))
    weighted.fit(features["train"], train)
    balanced = [balanced_accuracy_score(test, model.predict(features["test"])) for model in (reference, weighted)]
    assert knn["test"] == {
        "accuracy": pytest.approx(reference.score(features["test"], test)),
        "weighted_accuracy": pytest.approx(weighted.score(features["test"], test)),
        "balanced_accuracy": pytest.approx(balanced[0]),
        "balanced_weighted_accuracy": pytest.approx(balanced[1]),
        "images": 60,
        "effective_images": pytest.approx(60, abs=3),
    }

    results = pd.DataFrame(linear["results"])
    pixels = {name: split.images.reshape(len(split), -1) / 255 for name, split in splits.items()}
    for given, values in (("simclr", features), ("pixels", pixels)):
        for draw in range(2):
            rows = stratified_draw(train, 20, (0, draw))  # by the data set's split_seed
            few = values["train"][rows]
            mean, scale = few.mean(axis=0), np.sqrt(few.var(axis=0).mean())
            here = results[results["input"] == given].query("labels == 20 and draw == @draw and split == 'test'")
            model = LogisticRegression(C=here["C"].item(), max_iter=5000, tol=1e-6)
            model.fit((few - mean) / scale, train[rows])
            assert here["accuracy"].item() == pytest.approx(
                model.score((values["test"] - mean) / scale, test), abs=0.002
            )
            of_classes = balanced_accuracy_score(test, model.predict((values["test"] - mean) / scale))
            assert here["balanced_accuracy"].item() == pytest.approx(of_classes, abs=0.002)
    everything = results.query("labels == 200 and split == 'test' and input == 'simclr'")["balanced_accuracy"].item()
    assert linear["probe_balanced"]["test"]["balanced_accuracy"] == pytest.approx(everything, abs=0.002)

    all_labels = results[results["labels"] == 200]
    assert set(all_labels["draw"]) == {0}, "draws of all labels are equal and recorded once"
    assert set(all_labels["fraction"]) == {1.0}
    assert set(results["input"]) == {"simclr", "random", "pixels"}
    assert linear["run"]["seed"] == 3


def test_with_groups_each_accuracy_comes_with_what_is_right_in_each_of_them(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    groups = {name: [f"g{row // 7}" for row in range(len(labels))] for name, (_, labels) in FEW.items()}
    data, encoder = write_packed(FEW, groups=groups), write_encoder()
    knn, linear = run(data, encoder, tmp_path / "out", labels=[20], augmentation=None)
    measured = [("accuracy", knn["test"]), ("weighted_accuracy", knn["test"])]
    measured += [("accuracy", row) for row in linear["results"]]
    measured += [("accuracy", {"accuracy": linear["probe"]["test"], "by_group": linear["probe_by_group"]["test"]})]
    assert len(measured) == 2 + 3 * 2 + 1
    for found in [knn["test"], linear["probe_balanced"]["test"], *linear["results"]]:
        of_groups = found["balanced_by_group"]
        assert sum(of_groups["images"]) == pytest.approx(30) and len(of_groups["images"]) == 5
        assert sum(of_groups["balanced_accuracy"]) == pytest.approx(30 * found["balanced_accuracy"])
    for metric, found in measured:
        assert found["by_group"]["images"] == [7, 7, 7, 7, 2]
        assert sum(found["by_group"][metric]) == pytest.approx(30 * found[metric])
    assert all(5 < row["label_groups"] <= 9 for row in linear["results"])


def test_linear_probes_agree_with_scikit_learn_on_the_same_features(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    splits = {"train": digits(600), "validation": digits(200, 600), "test": digits(900, 800)}
    data, encoder = write_packed(splits), write_encoder()
    _, linear = run(data, encoder, tmp_path / "out", seed=3, augmentation=LIGHT)
    network, device = load_network(encoder), torch.device("cpu")
    assert isinstance(network, Encoder)
    packed = {name: read_split(data, name) for name in splits}
    plain = {name: compute_features(network, split.images, device)[0] for name, split in packed.items()}
    images, rows = torch.from_numpy(np.array(packed["train"].images)), torch.arange(600)
    views = [random_views(images, random_numbers.keys(3, epoch, rows, 1), LIGHT)[0] for epoch in range(-2, -6, -1)]
    seen = [network(view)[0].detach().numpy() for view in views]
    for name, train, count in (("probe", [plain["train"]], 1), ("probe_on_views", seen, 4)):
        x, y = np.concatenate(train), np.tile(packed["train"].labels, count)
        mean, scale = x.mean(axis=0), np.sqrt(x.var(axis=0).mean())
        model = LogisticRegression(C=linear[f"{name}_C"] / count, tol=1e-6, max_iter=5000)
        model.fit((x - mean) / scale, y)
        for split in ("validation", "test"):
            expected = model.score((plain[split] - mean) / scale, packed[split].labels)
            difference = (linear[name][split] - expected) * len(packed[split])
            assert abs(round(difference)) <= 2, (name, split)  # images between two classes, where last digits decide
    everything = [row for row in linear["results"] if row["labels"] == 600 and row["input"] == "simclr"]
    assert {row["split"]: row["accuracy"] for row in everything} == pytest.approx(linear["probe"], abs=0.002)


def test_the_penalty_is_the_best_of_the_first_draw_on_the_hold_out_and_serves_all_draws(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    splits = {"train": digits(300), "validation": digits(300, 300), "test": digits(60, 600)}
    data, encoder = write_packed(splits), write_encoder()
    _, linear = run(data, encoder, tmp_path / "out", labels=[10, 50, 1.0], draws=2, augmentation=LIGHT)
    assert linear["C_chosen_on"] == "validation"
    results = pd.DataFrame(linear["results"])
    assert (results.groupby(["input", "labels"])["C"].nunique() == 1).all()
    packed = {name: read_split(data, name) for name in splits}
    x = {name: split.images.reshape(len(split), -1) / 255 for name, split in packed.items()}
    y = {name: split.labels for name, split in packed.items()}
    for labels in (10, 50, 300):
        rows = stratified_draw(y["train"], labels, (0, 0))
        few = x["train"][rows]
        mean, scale = few.mean(axis=0), np.sqrt(few.var(axis=0).mean())
        costs = {}
        for penalty in PENALTIES:
            model = LogisticRegression(C=penalty, tol=1e-6, max_iter=5000).fit((few - mean) / scale, y["train"][rows])
            chances = torch.from_numpy(model.predict_log_proba((x["validation"] - mean) / scale))
            costs[penalty] = calibrated_cross_entropy(chances, torch.tensor(y["validation"]))
        chosen = results.query("input == 'pixels' and labels == @labels")["C"].iloc[0]
        assert costs[chosen] < min(costs.values()) + 0.002
    chosen = [linear["probe_C"], linear["probe_on_views_C"], *results["C"]]
    assert set(chosen) <= set(PENALTIES) and len(set(chosen)) > 1


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [True, False])
def test_the_test_split_takes_no_part_in_the_choice_of_the_penalty(
    held_out: bool, write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    encoder = write_encoder()
    images, known = digits(60, 300)
    chosen = []
    for name, labels in (("right", known), ("wrong", (known + 1) % 10)):
        validation = {"validation": digits(60, 200)} if held_out else {}
        data = write_packed({"train": digits(60), **validation, "test": (images, labels)}, name=name)
        _, linear = run(data, encoder, tmp_path / f"{name}-out", augmentation=LIGHT, draws=1)
        assert linear["C_chosen_on"] == ("validation" if held_out else "train")
        penalties = {(row["input"], row["labels"]): row["C"] for row in linear["results"]}
        chosen.append((penalties, linear["probe_C"], linear["probe_on_views_C"]))
    assert chosen[0] == chosen[1]


def test_one_label_of_a_class_without_a_hold_out_has_the_middle_penalty(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    _, linear = run(write_packed(FEW), write_encoder(), tmp_path / "out", labels=[10])
    assert {row["C"] for row in linear["results"]} == {PENALTIES[3]}


def test_no_augmentation_leaves_the_probe_on_views_out(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    _, linear = run(write_packed(FEW), write_encoder(), tmp_path / "out", augmentation=None)
    assert linear["probe"]["test"] > 0.3 and linear["probe_on_views"] is None


def test_rows_without_a_label_are_left_out_and_counted(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    images, labels = digits(60, 200)
    partly = np.where(np.arange(60) % 2, labels, -1)
    splits = {"train": digits(60), "validation": (images, np.full(60, -1)), "test": (images, partly)}
    knn, linear = run(write_packed(splits), write_encoder(), tmp_path / "out", labels=[20])
    assert knn["unlabeled_left_out"] == {"train": 0, "validation": 60, "test": 30}
    assert knn["test"]["images"] == 30
    assert "validation" not in knn
    assert {row["split"] for row in linear["results"]} == {"test"}


@pytest.mark.parametrize("labeled", [(), ("test",), ("validation", "test")], ids=len)
def test_without_labels_to_train_on_it_says_what_cannot_be_measured(
    labeled: tuple[str, ...], write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    images, labels = digits(30)
    splits = {
        name: (images, labels if name in labeled else np.full(30, -1)) for name in ("train", "validation", "test")
    }
    knn, linear = run(write_packed(splits), write_encoder(), tmp_path / "out")
    assert linear["results"] == []
    for result in (knn, linear):
        assert "Accuracy cannot be measured" in result["note"]
    assert not {"validation", "test"} & set(knn)


def test_a_share_below_one_label_of_each_class_is_one_of_each(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    _, linear = run(write_packed(FEW), write_encoder(), tmp_path / "out", labels=[0.01, 20])
    assert [row["labels"] for row in linear["results"] if row["draw"] == 0 and row["input"] == "simclr"] == [10, 20]
    assert linear["note"] is None


def test_changed_statistics_are_an_error(
    write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(network: Any, images: Any, device: Any, **options: Any) -> Any:
        result = compute_features(network, images, device, **options)
        network.backbone[1].running_mean += 1e-6  # as a forgotten eval() does
        return result

    for place in (protocol, few_labels):
        monkeypatch.setattr(place, "compute_features", careless)
    with pytest.raises(RuntimeError, match="statistics"):
        evaluate(
            EvaluationSettings(),
            encoder=write_encoder(),
            data=write_packed(FEW),
            seed=0,
            out=tmp_path / "out",
            hardware=CPU,
        )
    assert not (tmp_path / "out").exists()


def test_a_classifier_is_refused(write_packed: WritePacked, write_encoder: WriteEncoder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give the encoder"):
        run(write_packed(), write_encoder(classes=("a", "b")), tmp_path / "out")


def without_test(data: Path) -> None:
    """Remove all that only the test split has."""
    for part in ("images.npy", "labels.npy", "rows.parquet"):
        (data / f"test.{part}").unlink()


def test_judged_by_the_hold_out_it_reads_nothing_of_the_test_split(
    data: Path, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    settings = EvaluationSettings(labels=[20], draws=1, augmentation=None)
    encoder = write_encoder()
    evaluate(settings, encoder=encoder, data=data, seed=0, out=tmp_path / "whole", hardware=CPU)
    without_test(data)
    out = tmp_path / "out"
    by_hold_out: dict[str, Any] = {"data": data, "judged_by": "validation", "hardware": CPU}
    evaluate(settings, encoder=encoder, seed=0, out=out, **by_hold_out)
    pixels = ComparedSettings.model_validate({**settings.model_dump(), "network": None})
    compare(pixels, out=out / "pixels", **by_hold_out)
    for folder in (out, out / "pixels"):
        knn, linear = read(folder)
        assert knn["judged_by"] == linear["judged_by"] == "validation" and "test" not in knn
        assert {row["split"] for row in linear["results"]} == {"validation"}
    whole = read(tmp_path / "whole")[0]
    assert whole["judged_by"] == "test" and whole["validation"] == read(out)[0]["validation"]
    [right] = read_correct(out / "correct.npz").right.values()
    assert len(right) == 60
