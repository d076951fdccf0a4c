from pathlib import Path

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import Dataset
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.reading import check, read_settings, typed
from simclr_steps.settings.umap import UmapSettings


@pytest.mark.parametrize(
    ("kind", "content", "sentence"),
    [
        (PretrainSettings, {"temprature": 0.1}, 'unknown key "temprature"; did you mean "temperature"?'),
        (PretrainSettings, {"temperature": 0}, "temperature: 0 is wrong: it must be greater than 0"),
        (PretrainSettings, {"epochs": -1}, "epochs: -1 is wrong: it must be greater than 0"),
        (PretrainSettings, {"epochs": "ten"}, 'epochs: "ten" is wrong: it must be a valid integer'),
        (PretrainSettings, {"epochs": True}, "epochs: true is wrong: it must be a valid integer"),
        (PretrainSettings, {"encoder": "resnet81"}, 'MODULE:FUNCTION; did you mean "resnet18"?'),
        (PretrainSettings, {"augmentation": {"hue": 0.6}}, "augmentation.hue: 0.6 is wrong: it must be less than"),
        (PretrainSettings, {"augmentation": {"crop_scale": [1, 0.2]}}, "augmentation.crop_scale: [1, 0.2] is wrong"),
        (PretrainSettings, {"augmentation": {"crop_scale": [0.2, 1.5]}}, "must not exceed 1"),
        (PretrainSettings, {"learning_rate": float("nan")}, "learning_rate: NaN is wrong"),
        (FinetuneSettings, {"labels": 1.5}, "labels: 1.5 is wrong: it must be a fraction above 0 and up to 1.0"),
        (FinetuneSettings, {"labels": "many"}, 'labels: "many" is wrong: it must be a fraction above 0 and up to 1.0'),
        (FinetuneSettings, {"labels": {"per_class": 0}}, "labels.per_class: 0 is wrong: it must be greater than 0"),
        (FinetuneSettings, {"labels": 0}, "labels: 0 is wrong: it must be a fraction above 0"),
        (EvaluationSettings, {"labels": [0.1, -1]}, "labels.1: -1 is wrong: it must be a fraction above 0"),
        (EvaluationSettings, {"labels": []}, "labels: [] is wrong: it must contain at least 1"),
        (UmapSettings, {"metric": "cosin"}, 'metric: "cosin" is not known; did you mean "cosine"?'),
        (Dataset, {"source": "digit"}, 'source "digit" is not known; did you mean "digits"?'),
        (Dataset, {}, "the key source is required: add digits, torchvision, folder or arrays"),
        (Dataset, {"source": "folder", "path": "x"}, "image_size: this key is required: add it"),
        (Dataset, {"source": "torchvision", "name": "CIFAR11"}, 'name: "CIFAR11" is not known; did you mean "CIFAR10'),
        (
            Dataset,
            {"source": "torchvision", "name": "MNIST", "mirrors": ["file:///a", "ftp://b"]},
            'mirrors.1: "ftp://b" is wrong: it must begin with https://, http:// or file://',
        ),
        (
            Dataset,
            {"source": "arrays", "path": "x", "classes": ["a", "b", "a"]},
            'it must not repeat a name, but "a" is there more than once',
        ),
        (Dataset, {"source": "digits", "subset": "9"}, 'subset: "9" is wrong: it must be a valid integer'),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(kind: object, content: object, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        check(kind, content, "block")
    assert str(error.value).startswith("block")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
    assert "more)" not in str(error.value)  # it is one mistake


def test_second_mistake_is_counted() -> None:
    with pytest.raises(UserError, match=r"\(and 1 more\)$"):
        check(PretrainSettings, {"temperature": 0, "epochs": 0})


def test_missing_keys_are_mistakes_of_their_own() -> None:
    with pytest.raises(UserError, match=r"^b\.path: this key is required: add it \(and 1 more\)$"):
        check(Dataset, {"source": "folder"}, "b")


def test_tilde_in_a_path_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    block = check(Dataset, {"source": "folder", "path": "~/photos", "image_size": 8})
    assert block.path == "/home/me/photos"


def test_block_without_content_has_its_defaults() -> None:
    assert check(UmapSettings, None) == UmapSettings()


@pytest.mark.parametrize("text", ['{"n_neighbors": 9}', "n_neighbors: 9\n"])
def test_settings_are_read_inline_and_from_a_file(text: str, tmp_path: Path) -> None:
    file = tmp_path / "umap.yaml"
    file.write_text(text)
    assert read_settings(UmapSettings, str(file), "umap") == UmapSettings(n_neighbors=9)
    if text.startswith("{"):
        assert read_settings(UmapSettings, text, "umap") == UmapSettings(n_neighbors=9)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "cannot read the settings file"), (b"a: [", "not valid YAML"), (b"\xff", "not valid")],
)
def test_unreadable_settings_file_is_named(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "umap.yaml"
    if content:
        file.write_bytes(content)
    with pytest.raises(UserError, match=sentence) as error:
        read_settings(UmapSettings, str(file), "umap")
    assert "umap.yaml" in str(error.value)


def test_inline_settings_that_are_no_json_are_named() -> None:
    with pytest.raises(UserError, match="umap: the settings are not valid JSON"):
        read_settings(UmapSettings, "{n_neighbors: 9", "umap")


def test_command_line_text_becomes_yaml_at_every_depth() -> None:
    given = {"umap": {"n_neighbors": "9", "supervised": "true"}, "seeds": ["1", 2], "name": "digits", "none": "null"}
    read = {"umap": {"n_neighbors": 9, "supervised": True}, "seeds": [1, 2], "name": "digits", "none": None}
    assert typed(given) == read


def test_command_line_text_that_is_no_yaml_is_named_in_one_sentence() -> None:
    with pytest.raises(UserError) as error:
        typed({"datasets": {"digits": {"path": "@data"}}})
    assert str(error.value).startswith("--config: @data is not valid YAML (")
    assert "\n" not in str(error.value)
