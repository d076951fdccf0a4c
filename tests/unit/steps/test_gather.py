from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq
import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.places import claimed
from simclr_steps.steps.gather import gather
from tests.benchmarks.waiting import wait_until
from tests.unit.conftest import WritePacked, digits
from tests.unit.step_processes import start
from tests.unit.stoppable_trainings import folder_for

CLASSES = ("cat", "dog")
WAITS = "waiting for the process that writes"


@pytest.fixture(params=[2, 4096])
def rows_at_a_time(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many rows are in memory at a time changes nothing."""
    monkeypatch.setattr("simclr_steps.data.parts.ROWS_AT_A_TIME", request.param)


@pytest.fixture
def data(write_packed: WritePacked) -> Path:
    labels = np.array([0, 1, -1, 1, 0, 1, -1])
    return write_packed({"test": (digits(7)[0], labels)}, classes=CLASSES)


def write_parts(
    folder: Path, rows: list[list[int]], *, kind: str = "encoder", width: int = 2, split: str = "test"
) -> Path:
    """Write parts whose values tell the row that they belong to."""
    folder.mkdir()
    second = "logits" if kind == "classifier" else "projections"
    for rank, of_part in enumerate(rows):
        values: npt.NDArray[np.float32] = np.repeat(np.array(of_part, dtype=np.float32)[:, None], width, axis=1)
        values[:, -1] *= -1
        arrays: dict[str, Any] = {"rows": np.array(of_part, dtype=np.int64), "features": values, second: values}
        for name, array in arrays.items():
            np.save(folder / f"part-{rank}.{name}.npy", array)
    facts = {
        "kind": kind,
        "split": split,
        "layers": ["features", second],
        "model": "m",
        "model_hash": "h",
        "processes": len(rows),
        "run": {"step": "predict", "data_hash": "pixels-of-data"},
    }
    (folder / "parts.json").write_text(json.dumps(facts))
    return folder


@pytest.mark.parametrize(("kind", "name"), [("encoder", "out/backbone.npy"), ("classifier", "out/predictions.parquet")])
def test_a_full_disk_is_named_and_leaves_nothing(
    data: Path, tmp_path: Path, small_disk: Path, kind: str, name: str
) -> None:
    parts = write_parts(tmp_path / "parts", [list(range(7))], kind=kind, width=2 if kind == "classifier" else 2000)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - (20_000 if kind == "encoder" else 4096)))
    with pytest.raises(UserError, match=rf"^the disk is full while writing {small_disk}/{name}: free some space"):
        gather(parts, data=data, split="test", out=small_disk / "out")
    assert [file.name for file in small_disk.rglob("*") if file.is_file()] == ["filler"]


@pytest.mark.usefixtures("rows_at_a_time")
def test_parts_of_an_encoder_come_out_in_the_order_of_the_rows(data: Path, tmp_path: Path) -> None:
    parts, out = write_parts(tmp_path / "parts", [[5, 0, 6], [3, 1], [4, 2]]), tmp_path / "out"
    for _ in range(2):  # the second replaces the first
        gather(parts, data=data, split="test", out=out)
    for layer in ("backbone", "projection_head"):
        values = np.load(out / f"{layer}.npy")
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values[:, 0], np.arange(7))
    told = json.loads((out / "run.json").read_text())
    assert (told["split"], told["run"]["step"], told["predict"]["step"]) == ("test", "gather", "predict")


@pytest.mark.usefixtures("rows_at_a_time")
def test_group_and_further_columns_go_with_the_predictions(write_packed: WritePacked, tmp_path: Path) -> None:
    groups, plates = list("aabbccd"), ["1", "1", None, "2", "2", "ü, 3", "1"]
    data = write_packed({"test": digits(7)}, groups={"test": groups})
    rows = pd.read_parquet(data / "test.rows.parquet")
    rows.assign(plate=pd.Series(plates)).to_parquet(data / "test.rows.parquet")
    parts = write_parts(tmp_path / "parts", [[5, 0, 6], [3, 1], [4, 2]], kind="classifier", width=10)
    gather(parts, data=data, split="test", out=tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out/predictions.parquet")
    assert list(table)[:6] == ["row", "source", "label", "class", "group", "plate"]
    assert table["group"].tolist() == groups
    assert table["plate"].astype(object).where(table["plate"].notna(), None).tolist() == plates


@pytest.mark.usefixtures("rows_at_a_time")
def test_predictions_join_a_folder_of_other_files_and_carry_no_label_where_there_is_none(
    data: Path, tmp_path: Path
) -> None:
    parts, out = write_parts(tmp_path / "parts", [[6, 5, 4], [0, 1, 2, 3]], kind="classifier"), tmp_path / "out"
    out.mkdir()
    (out / "metrics.json").write_text("{}")
    gather(parts, data=data, split="test", out=out)
    files = ["metrics.json", "mistakes.csv", "predictions.json", "predictions.parquet"]
    assert sorted(path.name for path in out.iterdir()) == files
    table = pd.read_parquet(out / "predictions.parquet")
    assert table["label"].isna().sum() == 2
    probabilities = table[["probability_cat", "probability_dog"]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert list(table["source"]) == [f"test/{row}.png" for row in range(7)]
    np.testing.assert_allclose(probabilities[:, 0], 1 / (1 + np.exp(-2.0 * np.arange(7))), rtol=1e-5)
    assert set(table["predicted_class"]) == {"cat"}
    mistakes = pd.read_csv(out / "mistakes.csv")
    assert mistakes["row"].tolist() == [5, 3, 1] and mistakes["source"].tolist() == [f"test/{n}.png" for n in (5, 3, 1)]
    assert set(mistakes["class"]) == {"dog"} and set(mistakes["predicted_class"]) == {"cat"}
    np.testing.assert_allclose(mistakes["probability"], probabilities[[5, 3, 1], 0], rtol=1e-5)
    np.testing.assert_allclose(mistakes["probability_of_class"], probabilities[[5, 3, 1], 1], rtol=1e-4)
    described = json.loads(pq.read_schema(out / "predictions.parquet").metadata[b"simclr"])
    assert described["model_hash"] == "h" and described["split"] == "test"
    assert described["run"]["step"] == "gather" and described["run"]["data_hash"] == "hash-of-data"
    assert described["predict"]["step"] == "predict"
    assert json.loads((out / "predictions.json").read_text()) == described


@pytest.mark.usefixtures("rows_at_a_time")
def test_the_surest_mistakes_are_first_also_where_probabilities_round_to_one(data: Path, tmp_path: Path) -> None:
    parts = write_parts(tmp_path / "parts", [[0, 1, 2, 3, 4, 5, 6]], kind="classifier")
    leads = np.array([1, 50, 1, 80, 1, 20, 1], dtype=np.float32)
    np.save(parts / "part-0.logits.npy", np.stack([leads, np.zeros_like(leads)], axis=1))
    gather(parts, data=data, split="test", out=tmp_path / "out")
    mistakes = pd.read_csv(tmp_path / "out/mistakes.csv")
    assert mistakes["row"].tolist() == [3, 1, 5]
    assert (mistakes["probability"] == 1).all(), "which tells nothing"


def test_mistakes_have_their_nearest_labeled_images_of_train(
    write_packed: WritePacked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.array([0, 1, -1, 1, 0, 1, -1])
    data = write_packed(
        {"train": (digits(4)[0], np.array([0, -1, 1, 1])), "test": (digits(7)[0], labels)}, classes=CLASSES
    )
    angles = {"train": np.array([0, 1, 2, 4]), "test": np.array([3.9, 0.1, 0.2, 1.9, 0.4, 0.5, 0.6])}
    for split, of_rows in angles.items():
        (tmp_path / "features" / split).mkdir(parents=True)
        features = np.stack([np.cos(of_rows), np.sin(of_rows)], axis=1).astype(np.float32)
        np.save(tmp_path / "features" / split / "backbone.npy", features)
        (tmp_path / "features" / split / "run.json").write_text('{"model_hash": "h"}')
    parts, out = write_parts(tmp_path / "parts", [[6, 5, 4], [0, 1, 2, 3]], kind="classifier"), tmp_path / "out"
    gather(parts, data=data, split="test", out=out, features=tmp_path / "features")
    mistakes = pd.read_csv(out / "mistakes.csv")
    assert mistakes["row"].tolist() == [5, 3, 1]
    nearest = {row: json.loads(names)[0] for row, names in zip(mistakes["row"], mistakes["neighbors"], strict=True)}
    assert nearest == {5: "train/0.png", 3: "train/2.png", 1: "train/0.png"}
    of_classes = [json.loads(names) for names in mistakes["neighbor_classes"]]
    assert [len(names) for names in of_classes] == [3, 3, 3] and of_classes[1][0] == "dog"

    monkeypatch.setattr("simclr_steps.steps.gather._MOST_WITH_NEIGHBORS", 3)
    gather(parts, data=data, split="test", out=out, features=tmp_path / "features")
    assert list(pd.read_csv(out / "mistakes.csv")) == list(mistakes)[:-2]

    (tmp_path / "features/train/run.json").write_text('{"model_hash": "of another"}')
    with pytest.raises(UserError, match="features of different encoders: run predict and gather again$"):
        gather(parts, data=data, split="test", out=out, features=tmp_path / "features")


def test_features_of_other_images_or_for_an_encoder_are_refused(write_packed: WritePacked, tmp_path: Path) -> None:
    data = write_packed(
        {"train": (digits(4)[0], np.zeros(4, int)), "test": (digits(7)[0], np.ones(7, int))}, classes=CLASSES
    )
    for split, count in {"train": 3, "test": 7}.items():
        (tmp_path / "features" / split).mkdir(parents=True)
        np.save(tmp_path / "features" / split / "backbone.npy", np.ones((count, 2), dtype=np.float32))
        (tmp_path / "features" / split / "run.json").write_text('{"model_hash": "h"}')
    for kind, sentence in {
        "classifier": "is of other images than .*: run",
        "encoder": "only a classifier makes",
    }.items():
        parts = write_parts(tmp_path / kind, [[0, 1, 2, 3, 4, 5, 6]], kind=kind)
        with pytest.raises(UserError, match=rf"^--features: .*{sentence}"):
            gather(parts, data=data, split="test", out=tmp_path / "out", features=tmp_path / "features")


def test_neighbors_of_images_of_train_are_those_of_explore(write_packed: WritePacked, tmp_path: Path) -> None:
    data = write_packed({"train": digits(4)})
    parts = write_parts(tmp_path / "parts", [[0, 1, 2, 3]], kind="classifier", width=10, split="train")
    with pytest.raises(
        UserError, match=r"^--features: explore finds the neighbors of images of train: leave the option"
    ):
        gather(parts, data=data, split="train", out=tmp_path / "out", features=tmp_path)


def test_two_that_gather_other_splits_into_one_folder_at_once_both_write(
    write_packed: WritePacked, tmp_path: Path
) -> None:
    split = (digits(4)[0], np.array([0, 1, 0, 1]))
    data = write_packed({"train": split, "test": split}, classes=CLASSES)
    parts = {
        name: write_parts(tmp_path / f"{name}.parts", [[0, 1], [2, 3]], kind="classifier", split=name)
        for name in ("train", "test")
    }
    place = tmp_path / "classifier"
    said = [folder_for(tmp_path, name) / "said.txt" for name in parts]
    for file in said:
        file.touch()
    with claimed(place, "what-is-there-first"):
        both = [
            start(
                ["gather", "--parts", str(of), "--data", str(data), "--split", name, "--out", str(place)],
                file.parent,
            )
            for (name, of), file in zip(parts.items(), said, strict=True)
        ]
        wait_until(lambda: all(WAITS in file.read_text() for file in said), seconds=120)
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0], [file.read_text() for file in said]
    assert {path.name for path in place.glob("*.parquet")} == {"predictions.parquet", "train.predictions.parquet"}


@pytest.mark.usefixtures("rows_at_a_time")
def test_unlabeled_images_are_taken_from_the_parts_of_train(write_packed: WritePacked, tmp_path: Path) -> None:
    labels = np.array([0, 1, -1, 1, 0, 1, -1])
    data = write_packed({"train": (digits(7)[0], labels), "test": digits(1)}, classes=CLASSES)
    parts = write_parts(tmp_path / "parts", [[6, 5, 4], [0, 1, 2, 3]], kind="classifier", split="train")
    out = tmp_path / "out"
    for split in ("train", "unlabeled"):
        gather(parts, data=data, split=split, out=out)
    names = ("train.mistakes.csv", "train.predictions.json", "train.predictions.parquet")
    assert sorted(path.name for path in out.iterdir()) == [*names, *(n.replace("train", "unlabeled") for n in names)]
    assert len(pd.read_csv(out / "train.mistakes.csv")) and not len(pd.read_csv(out / "unlabeled.mistakes.csv"))
    table = pd.read_parquet(out / "unlabeled.predictions.parquet")
    whole = pd.read_parquet(out / "train.predictions.parquet")
    assert whole["row"].tolist() == list(range(7))
    pd.testing.assert_frame_equal(table, whole.iloc[[2, 6]].reset_index(drop=True))
    assert (
        pq.read_schema(out / "unlabeled.predictions.parquet").types
        == pq.read_schema(out / "train.predictions.parquet").types
    )
    described = json.loads((out / "unlabeled.predictions.json").read_text())
    assert (described["split"], described["predict"]["step"]) == ("unlabeled", "predict")


def test_where_all_are_labeled_the_table_of_unlabeled_images_has_no_rows(
    write_packed: WritePacked, tmp_path: Path
) -> None:
    data = write_packed({"train": (digits(7)[0], np.array([0, 1, 0, 1, 0, 1, 1]))}, classes=CLASSES)
    parts = write_parts(tmp_path / "parts", [[0, 1, 2, 3, 4, 5, 6]], kind="classifier", split="train")
    gather(parts, data=data, split="unlabeled", out=tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out/unlabeled.predictions.parquet")
    assert len(table) == 0 and "probability_dog" in table


def test_features_of_unlabeled_images_are_not_gathered_by_themselves(write_packed: WritePacked, tmp_path: Path) -> None:
    data = write_packed({"train": (digits(7)[0], np.array([0, 1, -1, 1, 0, 1, -1]))}, classes=CLASSES)
    parts = write_parts(tmp_path / "parts", [[0, 1, 2, 3, 4, 5, 6]], split="train")
    with pytest.raises(UserError, match="^--split: features of unlabeled images are gathered with train: pass train"):
        gather(parts, data=data, split="unlabeled", out=tmp_path / "out")


def test_memory_does_not_grow_with_the_rows(write_packed: WritePacked, tmp_path: Path) -> None:
    def most(count: int) -> int:
        images, labels = np.zeros((count, 1, 1, 1), np.uint8), np.zeros(count, np.int64)
        data = write_packed({"test": (images, labels)}, name=f"data-{count}")
        parts = write_parts(tmp_path / f"parts-{count}", [list(range(count))], width=250)
        facts = json.loads((parts / "parts.json").read_text())
        (parts / "parts.json").write_text(json.dumps({**facts, "run": {"data_hash": f"pixels-of-data-{count}"}}))
        tracemalloc.start()  # NumPy tells it of its arrays
        try:
            gather(parts, data=data, split="test", out=tmp_path / f"out-{count}")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert most(30_000) - most(10_000) < 10e6  # of 40 MB more features and projections


def test_a_classifier_of_other_classes_is_refused(data: Path, tmp_path: Path) -> None:
    parts = write_parts(tmp_path / "parts", [[0, 1, 2, 3, 4, 5, 6]], kind="classifier", width=3)
    with pytest.raises(UserError, match="3 classes, but the data have 2"):
        gather(parts, data=data, split="test", out=tmp_path / "out")


def test_parts_of_other_data_are_refused(data: Path, write_packed: WritePacked, tmp_path: Path) -> None:
    parts = write_parts(tmp_path / "parts", [[0, 1, 2, 3, 4, 5, 6]])
    other = write_packed({"test": digits(7)}, name="other")
    with pytest.raises(UserError, match="from data other than"):
        gather(parts, data=other, split="test", out=tmp_path / "out")


@pytest.mark.parametrize("module", ["gather", "summarize"])
def test_steps_without_a_network_load_no_torch(module: str) -> None:
    code = f"import sys, simclr_steps.steps.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3]).returncode == 0
