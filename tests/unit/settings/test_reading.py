import tracemalloc
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.config import Config, Experiment
from simclr_steps.settings.datasets import Dataset
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.reading import check, read_settings, read_yaml, typed
from simclr_steps.settings.umap import UmapSettings
from tests.unit.settings.mistakes import assert_refused

CONFIG: dict[Any, Any] = {
    "datasets": {"d": {"source": "digits"}},
    "pretrains": {"p": {}},
    "experiments": [{"dataset": "d", "pretrain": "p"}],
}


@pytest.mark.parametrize(
    ("kind", "content", "sentence"),
    [
        (PretrainSettings, {"temprature": 0.1}, 'unknown key "temprature"; did you mean "temperature"?'),
        (PretrainSettings, {"temperature": 0}, "temperature: 0 is wrong: it must be greater than 0"),
        (PretrainSettings, {"epochs": -1}, "epochs: -1 is wrong: it must be a whole number above 0, or auto"),
        (PretrainSettings, {"epochs": "ten"}, 'epochs: "ten" is wrong: it must be a whole number above 0, or auto'),
        (PretrainSettings, {"views": True}, "views: true is wrong: it must be a valid integer"),
        (PretrainSettings, {"learning_rate": float("nan")}, "learning_rate: NaN is wrong"),
        (EvaluationSettings, {"labels": []}, "labels: [] is wrong: it must contain at least 1"),
        (UmapSettings, {"metric": "cosin"}, 'metric: "cosin" is not known; did you mean "cosine"?'),
        (Dataset, {"source": "digit"}, 'source "digit" is not known; did you mean "digits"?'),
        (PretrainSettings, {"batch_size": 9}, 'did you mean "global_batch_size" or "micro_batch_size"?'),
        (PretrainSettings, {"temp": 9}, 'unknown key "temp"; did you mean "temperature"?'),
        (
            PretrainSettings,
            {"augmentation": "photos"},
            '"photos" is wrong: it must be a block of keys, as in {preset: ',
        ),
        (PretrainSettings, {"augmentation": 7}, "augmentation: 7 is wrong: it must be a block of keys, each with its"),
        (PretrainSettings, {"projection_head": 7}, "7 is wrong: it must be a block of keys, each with its value"),
        (PretrainSettings, {"augmentation": {"crop_scale": 1}}, "1 is wrong: it must be a list of two numbers"),
        (PretrainSettings, {"encoder": 18}, "encoder: YAML reads 18 as a number: put the text in quotes"),
        (
            Experiment,
            {"dataset": True, "pretrain": "p"},
            "dataset: YAML reads on, yes and true as true: put the text in",
        ),
        (Experiment, {"dataset": "d", "pretrain": "p", "finetunes": "f"}, 'it must be a list, as in ["f"]'),
        (Config, {**CONFIG, "experiments": {}}, "{} is wrong: it must be a list, with a dash before each entry"),
        (Config, {**CONFIG, "umap": "cosine"}, '"cosine" is wrong: it must be a block of keys, each with its value'),
        (Config, {**CONFIG, "datasets": {"d": "digits"}}, 'datasets.d: "digits" is wrong: it must be a block of keys'),
        (
            Config,
            {**CONFIG, "datasets": {2024: {}}},
            "datasets: YAML reads 2024 as a number, where a name belongs: put",
        ),
        (Config, {**CONFIG, "pretrains": {True: {}}}, "pretrains: YAML reads on, yes and true as true, where a name"),
        (
            Config,
            {**CONFIG, "pretrains": {date(2024, 1, 1): {}}},
            "YAML reads 2024-01-01 as a date, where a name belongs",
        ),
        (Config, {**CONFIG, False: {}}, "YAML reads off, no and false as false, where a name belongs: put the name in"),
        (Dataset, {}, "source is required: set it to digits, torchvision, folder or arrays"),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(kind: object, content: object, sentence: str) -> None:
    assert_refused(kind, content, sentence)


def test_second_mistake_is_counted() -> None:
    with pytest.raises(UserError, match=r"\(and 1 more\)$"):
        check(PretrainSettings, {"temperature": 0, "epochs": 0})


def test_missing_keys_are_mistakes_of_their_own() -> None:
    with pytest.raises(UserError, match=r"^b\.path: this key is required: add it \(and 1 more\)$"):
        check(Dataset, {"source": "folder"}, "b")


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


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a: 1\nb:\n\tc: 1\n", "line 3 (found character '\\t' that cannot start any token): fix it"),
        ("a: b: c\n", "line 1 (mapping values are not allowed here): fix it"),
        ("a: 1\nb: 'x\nc: 1\n", "lines 2 to 4 (found unexpected end of stream): fix it"),
        ("a: {\n  b: 1\n", "lines 1 to 3 ("),
    ],
)
def test_invalid_yaml_is_reported_with_its_lines(text: str, lines: str, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        read_yaml(tmp_path / "my.yaml")
    assert str(error.value).startswith(f"{tmp_path}/my.yaml is not valid YAML, {lines}")


@pytest.mark.parametrize(
    "value",
    [
        "2020-13-45",
        "!!int abc",
        "!!float abc",
        "!!timestamp abc",
        "9" * 5000,
        "[" * 5000,
        "&a {b: *a}",
    ],
)
def test_values_that_python_cannot_hold_end_in_one_sentence(value: str, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(f"n_neighbors: {value}\n")
    with pytest.raises(UserError) as error:
        read_settings(UmapSettings, str(tmp_path / "my.yaml"), "umap")
    assert "\n" not in str(error.value)
    with pytest.raises(UserError):
        check(UmapSettings, typed({"n_neighbors": value}))


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000])
def test_inline_values_that_python_cannot_hold_end_in_one_sentence(value: str) -> None:
    with pytest.raises(UserError, match="umap: the settings are not valid JSON"):
        read_settings(UmapSettings, f'{{"n_neighbors": {value}}}', "umap")


def test_a_key_that_is_there_twice_in_inline_settings_is_named() -> None:
    with pytest.raises(UserError, match=r'umap: .* \(the key "n_neighbors" appears twice\): fix them'):
        read_settings(UmapSettings, '{"n_neighbors": 9, "n_neighbors": 5}', "umap")
    with pytest.raises(UserError, match='the key "n_neighbors" appears twice'):
        typed({"umap": "{n_neighbors: 9, n_neighbors: 5}"})


def test_json_may_be_indented_by_tabs(tmp_path: Path) -> None:
    (tmp_path / "my.json").write_text('{\n\t"n_neighbors":\t9\n}')
    assert read_yaml(tmp_path / "my.json") == {"n_neighbors": 9}


def test_inline_settings_that_are_no_json_are_named() -> None:
    with pytest.raises(UserError, match="umap: the settings are not valid JSON"):
        read_settings(UmapSettings, "{n_neighbors: 9", "umap")


def test_command_line_text_becomes_yaml_at_every_depth() -> None:
    given = {"umap": {"n_neighbors": "9", "supervised": "true"}, "seeds": ["1", 2], "name": "digits", "none": "null"}
    read = {"umap": {"n_neighbors": 9, "supervised": True}, "seeds": [1, 2], "name": "digits", "none": None}
    assert typed(given) == read


def test_command_line_text_that_is_not_yaml_is_reported_in_one_sentence() -> None:
    with pytest.raises(UserError) as error:
        typed({"datasets": {"digits": {"path": "@data"}}})
    assert str(error.value).startswith("--config: @data is not valid YAML (")
    assert "\n" not in str(error.value)


def test_no_more_of_a_value_is_written_than_is_shown() -> None:
    tracemalloc.start()
    try:
        assert_refused(PretrainSettings, {"epochs": ["x" * 1_000_000] * 50}, '["' + "x" * 55 + "... is wrong")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000  # bytes
    finally:
        tracemalloc.stop()
