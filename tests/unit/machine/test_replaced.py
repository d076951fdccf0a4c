"""A step replaces its own files, and neither the user's, whatever they are called, nor what it reads."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.replaced import Own, check_files, check_folder, check_not_read, check_replaceable

OWN = Own(("last.ckpt", "run.json", "curves/events.*"), step="pretrain", record="run.json", alone=("rows.parquet",))


def test_an_input_that_would_be_replaced_is_named_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "m.safetensors").touch()
    (tmp_path / "link").symlink_to("model")
    with pytest.raises(UserError, match=r"^--out: link is read as well, and would be replaced: give another name$"):
        check_not_read(Path("link"), None, tmp_path / "model")
    inside = r"^--out: model would be replaced, and with it link/m\.safetensors, which is read: write elsewhere$"
    with pytest.raises(UserError, match=inside):
        check_not_read(Path("model"), Path("link/m.safetensors"))
    check_not_read(Path("model/other"), None, tmp_path / "model", tmp_path / "modelled")


def write(folder: Path, *names: str, record: str | None = None) -> Path:
    """Write files of the user into a folder, and perhaps a record of a step."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("years of work")
    if record is not None:
        (folder / "run.json").write_text(record)
    return folder


@pytest.mark.parametrize("record", [{"step": "pretrain"}, {"run": {"step": "pretrain"}}])
def test_a_folder_is_known_by_the_record_of_the_step(tmp_path: Path, record: dict[str, Any]) -> None:
    ours = write(tmp_path / "ours", "last.ckpt", "curves/events.1", ".DS_Store", record=json.dumps(record))
    check_replaceable(ours, OWN)
    check_replaceable(tmp_path / "absent", OWN)
    check_replaceable(write(tmp_path / "left", "rows.parquet", ".snakemake_timestamp"), OWN)
    (tmp_path / "empty").mkdir()
    check_replaceable(tmp_path / "empty", OWN)


@pytest.mark.parametrize(
    "record", [None, "", "3", "[]", "{}", '{"run": 3}', '{"step": "predict"}', '{"loss": 0.1}', "[" * 100_000]
)
def test_a_folder_whose_files_only_have_the_same_names_is_the_users(tmp_path: Path, record: str | None) -> None:
    theirs = write(tmp_path / "theirs", "last.ckpt", record=record)
    with pytest.raises(UserError, match="theirs holds .*, but no run.json that shows it is from pretrain, and would"):
        check_replaceable(theirs, OWN)


@pytest.mark.parametrize("name", ["curves/thesis.tex", "curves/deep/events.1", "epoch=9.ckpt", "more/last.ckpt"])
def test_a_foreign_file_is_found_at_any_depth(tmp_path: Path, name: str) -> None:
    ours = write(tmp_path / "ours", "last.ckpt", name, record='{"step": "pretrain"}')
    with pytest.raises(UserError, match=f"ours holds {name}, which is not from this step and would be deleted: move"):
        check_replaceable(ours, OWN)


def test_files_and_links_are_no_place_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "nowhere").symlink_to("absent")
    for name, reason in (("file", "is not a folder"), ("nowhere", "is not a folder"), ("link", "is a link")):
        with pytest.raises(UserError, match=reason):
            check_replaceable(tmp_path / name, None)
    check_folder(tmp_path / "link")
    (tmp_path / "folder" / "curves").symlink_to(tmp_path)
    with pytest.raises(UserError, match="folder holds curves, which is not from this step"):
        check_replaceable(tmp_path / "folder", OWN)


def test_in_a_shared_folder_a_file_is_known_by_the_one_that_is_written_first(tmp_path: Path) -> None:
    shared = write(tmp_path, "thesis.tex")
    check_files(shared, ("metrics.json",), sign="correct.npz")
    write(shared, "metrics.json")
    with pytest.raises(UserError, match="metrics.json is not from this step, as there is no correct.npz beside it"):
        check_files(shared, ("metrics.json",), sign="correct.npz")
    check_files(write(shared, "correct.npz"), ("metrics.json",), sign="correct.npz")


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("pretrain", "last.ckpt"),
        ("pretrain", "epoch=9-step=500.ckpt"),
        ("pretrain", "tensorboard/events.out.tfevents.1"),
        ("finetune", "tensorboard"),
        ("finetune", "tensorboard/events.out.tfevents.1"),
        ("finetune", "model.safetensors"),
        ("evaluate", "knn.json"),
        ("compare", "linear.json"),
        ("predict", "part-0.npy"),
        ("predict", "parts.json"),
        ("tabulate", "run.json"),
        ("umap", "map.html"),
        ("explore", "clusters.csv"),
        ("galleries", "run.json"),
        ("prepare", "images.json"),
        ("prepare", "train.images.npy"),
        ("prepare", "dataset.json"),
    ],
)
def test_each_step_refuses_before_anything_else_to_replace_a_file_of_the_user(
    tmp_path: Path, step: str, name: str
) -> None:
    out = write(tmp_path / "out", name)
    function = getattr(importlib.import_module(f"simclr_steps.steps.{step}"), step)
    given = {option: "unlabeled" if option == "split" else None for option in inspect.signature(function).parameters}
    with pytest.raises(UserError, match=f"{out}.* (is not from this step|but no .* that shows|is not a folder)"):
        function(**given | {"out": out})
    assert (out / name).read_text() == "years of work"
