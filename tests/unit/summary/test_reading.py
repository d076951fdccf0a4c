"""Results that are absent, damaged or of another version are named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from simclr_steps.data.correct import Correct, write_correct
from simclr_steps.machine.errors import UserError
from simclr_steps.steps.summarize import summarize
from simclr_steps.summary.reading import read_run
from tests.unit.conftest import WritePacked
from tests.unit.summary.written_results import compared, put, settings, write_run


@pytest.fixture
def resources(write_packed: WritePacked) -> Path:
    return write_packed(name="digits").parent


def test_a_run_that_has_not_run_is_named(tmp_path: Path, resources: Path) -> None:
    with pytest.raises(UserError, match=r"seed7/pretrain/history\.csv does not exist"):
        summarize(settings(7), results=tmp_path, resources=resources, out=tmp_path)


def test_a_damaged_result_is_named(tmp_path: Path, resources: Path) -> None:
    folder = write_run(tmp_path, 0)
    (folder / "evaluate" / "knn.json").write_text('{"neighbors": ')
    with pytest.raises(UserError, match=r"knn\.json is not valid JSON"):
        summarize(settings(0), results=tmp_path, resources=resources, out=tmp_path)


def test_results_of_another_version_are_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    put(folder / "evaluate" / "knn.json", {"neighbors": 10, "test": {"share": 0.9}})
    with pytest.raises(UserError, match=r"seed0 contains results from a different version \(KeyError\('images'\)\)"):
        read_run(settings(0).runs[0], tmp_path)


def test_the_caption_of_a_gallery_says_which_channels_it_shows(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    put(folder / "galleries" / "run.json", {"split": "test", "channels": "DNA in blue, ER in green", "run": {}})
    (folder / "galleries" / "neighbors.png").touch()
    captions = {picture.file.stem: picture.caption for picture in read_run(settings(0).runs[0], tmp_path).pictures}
    assert captions["neighbors"].endswith(" Images show DNA in blue, ER in green.")
    assert "Images show" not in captions.get("backbone", "")


def test_what_was_not_run_is_left_out(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    for stage in ("evaluate", "umap", "encoder", "../../compare"):
        shutil.rmtree(folder / stage)
    found = read_run(settings(0, finetunes=("tuned",)).runs[0], tmp_path)
    assert {row["stage"] for row in found.rows} == {"pretrain"}
    assert (list(found.records), found.pictures, found.choice) == (["pretrain"], [], "")


def test_what_a_run_is_compared_with_is_measured_alike_and_on_the_same_data(tmp_path: Path) -> None:
    write_run(tmp_path, 0)
    rows = read_run(settings(0).runs[0], tmp_path).rows
    voted = {row["input"]: row["value"] for row in rows if row["stage"] == "knn" and row["metric"] == "accuracy"}
    assert voted == pytest.approx({"simclr": 0.9, "random": 0.6, "pixels": 0.7})
    file = tmp_path / "digits" / "compare" / "pixels-seed0" / "linear.json"
    file.write_text(file.read_text().replace("da7a", "0ther"))
    with pytest.raises(UserError, match="pixels-seed0 was measured on data other than the run's: run compare again"):
        read_run(settings(0).runs[0], tmp_path)


def test_a_run_of_a_grid_shows_nothing_of_the_test_split_that_it_shares_with_others(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    put(folder / "evaluate" / "knn.json", {"input": "simclr", "validation": {"accuracy": 0.3, "images": 40}})
    for place in (folder / "evaluate", tmp_path / "digits/compare/pixels-seed0"):
        write_correct(place / "correct.npz", Correct({("10", 0): np.ones(40, dtype=np.bool_)}, None))
    of_grid = settings(0).runs[0].model_copy(update={"judged_by": "validation"})
    read = read_run(of_grid, tmp_path)
    accuracies = [row for row in read.rows if row["stage"] in ("knn", "linear") and row["metric"] == "accuracy"]
    assert {row["split"] for row in accuracies} == {"validation"}
    assert {row["input"] for row in accuracies} == {"simclr", "pixels", "random"}
    assert set(read.correct) == {"simclr"}, "that of the pixels is of the test split, on which these were judged last"
    assert set(read_run(settings(0).runs[0], tmp_path).correct) == {"simclr", "pixels"}


def test_the_size_at_which_each_network_reads_images_is_read(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    random = tmp_path / "digits" / "compare" / next(name for name in compared(0) if name.startswith("random"))
    for file, size in ((folder / "pretrain" / "run.json", 64), (random / "knn.json", [224, 192])):
        file.write_text(json.dumps({**json.loads(file.read_text()), "architecture": {"image_size": size}}))
    assert read_run(settings(0).runs[0], tmp_path).read_at == {"simclr": (64, 64), "random": (224, 192)}
