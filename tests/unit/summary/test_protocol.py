"""The page says what each step was asked to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from simclr_steps.data.packed import read_description
from simclr_steps.settings.runs import Run
from simclr_steps.summary.protocol import as_config, protocol
from simclr_steps.summary.reading import read_run
from tests.unit.conftest import WritePacked
from tests.unit.summary.written_results import settings, write_run


@pytest.fixture
def resources(write_packed: WritePacked) -> Path:
    return write_packed(name="digits").parent


def test_the_display_is_said_to_be_the_data_sets(tmp_path: Path, resources: Path) -> None:
    write_run(tmp_path, 0)
    run, data = read_run(settings(0).runs[0], tmp_path), read_description(resources / "digits")
    for shown, expected in ((None, None), (["DNA"], {"display": ["DNA"]})):
        run.records["umap"] = {"settings": {"split": "test", "display": shown}}
        config = as_config([run], {"digits": data.model_copy(update={"run": {"settings": {}}})})
        assert config["umap"] == {"split": "test"}
        assert config["datasets"]["digits"] == (expected or {})


def test_the_protocol_says_what_a_training_starts_from_and_what_its_classes_weigh(tmp_path: Path) -> None:
    write_run(tmp_path, 0, pretrain="first")
    write_run(tmp_path, 0, pretrain="longer")
    run = read_run(Run(dataset="digits", pretrain="longer", seed=0, finetunes=[], continues=["first"]), tmp_path)
    first = {"encoder": "resnet18", "init": "published", "epochs": 5}
    run.records["pretrain"] = {"settings": {**first, "epochs": 7, "freeze_epochs": 2, "parent": first}}
    run.records["finetune tuned"] = {"settings": {"init": "pretrained", "class_weights": "balanced"}}
    rows = dict(protocol(run))
    assert rows["pretrain"] == (
        "continues first after its 5 epochs; encoder resnet18; init published; epochs 7; freeze epochs 2"
    )
    assert rows["finetune tuned"] == "init pretrained; class weights balanced"


def test_budgets_of_labels_are_told_in_words_and_one_epoch_is_called_so(tmp_path: Path) -> None:
    write_run(tmp_path, 0, pretrain="first")
    write_run(tmp_path, 0, pretrain="longer")
    run = read_run(Run(dataset="digits", pretrain="longer", seed=0, finetunes=[], continues=["first"]), tmp_path)
    run.records["pretrain"] = {"settings": {"epochs": 7, "parent": {"epochs": 1}}}
    run.records["finetune tuned"] = {"settings": {"labels": 1.0}}
    run.records["knn"] = {"settings": {"labels": [0.05, 20, {"per_class": 5}, {"groups": 1}, 1.0]}}
    rows = dict(protocol(run))
    assert rows["pretrain"] == "continues first after its 1 epoch; epochs 7"
    assert rows["finetune tuned"] == "labels all"
    assert rows["evaluate"] == "labels 5 %, 20, 5 per class, 1 group, all"
