"""The page says what each step was asked to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from simclr_steps.data.packed import read_description
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.pretrain import PretrainSettings
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


def test_the_split_of_umap_is_that_of_the_run_by_itself_wherever_those_of_its_grid_stand(tmp_path: Path) -> None:
    runs = []
    for seed, (judge, split) in enumerate((("test", "test"), ("validation", "validation"))):
        write_run(tmp_path, seed)
        runs.append(read_run(settings(seed).runs[0].model_copy(update={"judged_by": judge}), tmp_path))
        runs[-1].records["umap"] = {"settings": {"split": split}}
    assert as_config(runs, {})["umap"] == {"split": "test"}
    assert as_config(runs[1:], {})["umap"] == {"split": "validation"}


def test_the_protocol_says_what_a_training_starts_from_and_what_its_classes_weigh(tmp_path: Path) -> None:
    write_run(tmp_path, 0, pretrain="first")
    write_run(tmp_path, 0, pretrain="longer")
    run = read_run(Run(dataset="digits", pretrain="longer", seed=0, finetunes=[], continues=["first"]), tmp_path)
    first = {"encoder": "resnet18", "init": "published", "epochs": 5}
    run.records["pretrain"] = {"settings": {**first, "epochs": 7, "freeze_epochs": 2, "parent": first}}
    run.records["finetune tuned"] = {"settings": {"init": "pretrained", "class_weights": "balanced"}}
    run.records = {stage: run.records[stage] for stage in ("pretrain", "umap", "finetune tuned")}
    run.records["umap"] = {"settings": {"n_neighbors": 15}}
    assert protocol(run) == [
        ["step", "setting", "value", "default"],
        ["pretrain", "continue", "first after its 5 epochs", "none"],
        ["pretrain", "init", "published", "random"],
        ["pretrain", "epochs", "7", "auto"],
        ["pretrain", "freeze_epochs", "2", "0"],
        ["umap", "all", "as by default", ""],
        ["finetune tuned", "class_weights", "balanced", "none"],
    ]


def test_the_keys_of_an_augmentation_are_told_one_by_one(tmp_path: Path) -> None:
    write_run(tmp_path, 0)
    run = read_run(settings(0).runs[0], tmp_path)
    block = PretrainSettings(augmentation=Augmentation(preset="digits"), temperature=0.2)
    run.records = {"pretrain": {"settings": block.model_dump(mode="json")}}
    assert protocol(run)[1:] == [
        ["pretrain", "augmentation.crop_scale", "0.5, 1", "0.2, 1"],
        ["pretrain", "augmentation.horizontal_flip_probability", "0", "0.5"],
        ["pretrain", "augmentation.rotation_degrees", "20", "0"],
        ["pretrain", "augmentation.grayscale_probability", "0", "0.1"],
        ["pretrain", "temperature", "0.2", "0.5"],
    ]


def test_budgets_of_labels_are_told_in_words_and_one_epoch_is_called_so(tmp_path: Path) -> None:
    write_run(tmp_path, 0, pretrain="first")
    write_run(tmp_path, 0, pretrain="longer")
    run = read_run(Run(dataset="digits", pretrain="longer", seed=0, finetunes=[], continues=["first"]), tmp_path)
    run.records["pretrain"] = {"settings": {"epochs": 7, "parent": {"epochs": 1}}}
    run.records["finetune tuned"] = {"settings": {"labels": 1.0}}
    run.records["knn"] = {"settings": {"labels": [0.05, 20, {"per_class": 5}, {"groups": 1}, 1.0]}}
    values = {(step, setting): value for step, setting, value, _ in protocol(run)}
    assert values["pretrain", "continue"] == "first after its 1 epoch"
    assert values["finetune tuned", "labels"] == "all"
    assert values["evaluate", "labels"] == "5 %, 20, 5 per class, 1 group, all"
