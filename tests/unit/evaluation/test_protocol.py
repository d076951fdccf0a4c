"""Whatever features are of, the same is measured of them; views come from the function that is handed over."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from simclr_steps.data.packed import read_description
from simclr_steps.evaluation.protocol import VIEWS, View, extract, labeled_images, measure, unmeasured
from simclr_steps.networks.encoders import load_encoder
from simclr_steps.networks.features import network_input
from simclr_steps.settings.evaluation import EvaluationSettings
from tests.unit.conftest import WriteEncoder, WritePacked, digits

CPU = torch.device("cpu")


def test_views_that_change_nothing_measure_what_plain_images_do(
    write_packed: WritePacked, write_encoder: WriteEncoder
) -> None:
    data, network = write_packed({"train": digits(100), "test": digits(60, 100)}), load_encoder(write_encoder())
    numbers, settings = [], EvaluationSettings(labels=[20], draws=1)

    def plain(number: int) -> View:
        def view(images: Tensor, rows: Tensor) -> Tensor:
            assert rows.tolist() == list(range(100))
            numbers.append(number)
            return network_input(images, network.architecture.image_size)

        return view

    given = labeled_images(data, read_description(data))
    found = measure("mine", extract(network, given, CPU, plain), given, settings, CPU)
    assert numbers == list(range(VIEWS))
    assert found.linear["probe_on_views"] == pytest.approx(found.linear["probe"], abs=0.05)
    assert found.linear["input"] == found.knn["input"] == found.linear["results"][0]["input"] == "mine"
    without = measure("mine", extract(network, given, CPU, None), given, settings, CPU)
    of_views = {"probe_on_views", "probe_on_views_C", "probe_on_views_balanced"}
    assert without.linear["probe_on_views"] is None and without.knn == found.knn
    assert all(without.linear[key] == value for key, value in found.linear.items() if key not in of_views)


def test_budgets_that_are_left_to_the_data_are_recorded_and_said(
    write_packed: WritePacked, write_encoder: WriteEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    data, network = write_packed({"train": digits(100), "test": digits(60, 100)}), load_encoder(write_encoder())
    given = labeled_images(data, read_description(data))
    features = extract(network, given, CPU, None)
    with caplog.at_level("INFO"):
        fitted = measure("mine", features, given, EvaluationSettings(draws=1), CPU).linear
    assert fitted.pop("fitted") == {"labels": [50, 1.0]} and "the 100 labels: budgets of 50, all" in caplog.text
    written = measure("mine", features, given, EvaluationSettings(labels=[50, 1.0], draws=1), CPU).linear
    assert written == fitted


def test_without_labels_both_files_say_why(tmp_path: Path) -> None:
    unmeasured("mine", EvaluationSettings(), "There are none.").write(tmp_path, {"fact": 1})
    for name in ("knn", "linear"):
        assert '"There are none."' in (tmp_path / f"{name}.json").read_text()
