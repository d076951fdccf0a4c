from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from simclr_steps.data.image_tables import value_of
from simclr_steps.files import read_json, write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.replaced import check_replaceable
from simclr_steps.settings.explore import ExploreOfDataset
from simclr_steps.steps import explore as module
from simclr_steps.steps.explore import explore
from tests.unit.conftest import WritePacked, digits
from tests.unit.digit_names import DIGITS

TABLES = {"duplicates.csv", "outliers.csv", "clusters.csv", "to_label.csv", "mistakes.csv"}
FILES = TABLES | {"explore.json", "explore.html"}


def write_features(
    folder: Path, data: Path, values: dict[str, npt.NDArray[Any]] | None = None, encoder: str = "e"
) -> Path:
    """Write what gather and tabulate write for a packed data set; features are pixels unless they are given."""
    for split in ("train", "validation", "test"):
        images, labels = (np.load(data / f"{split}.{part}.npy") for part in ("images", "labels"))
        of_split = folder / split
        of_split.mkdir(parents=True)
        features = (values or {}).get(split, images.reshape(len(images), 64))
        np.save(of_split / "backbone.npy", features.astype(np.float32))
        table = {
            "row": range(len(labels)),
            "source": [f"{split}/{row}.png" for row in range(len(labels))],
            "label": pd.Series(labels, dtype="Int64").mask(labels < 0),
            "class": pd.Series([DIGITS[label] if label >= 0 else None for label in labels], dtype="string"),
        }
        pd.DataFrame(table).to_parquet(of_split / "rows.parquet", index=False)
        facts = {"split": split, "model_hash": encoder, "run": {"data_hash": f"pixels-of-{data.name}"}}
        write_json(of_split / "run.json", facts)
    return folder


@pytest.fixture
def data(write_packed: WritePacked) -> Path:
    """Digits, of which two of test are in train as well, one of them without a label."""
    (images, labels), (others, of_test) = digits(150), digits(40, 400)
    unlabeled = np.concatenate([digits(29, 200)[0], others[7:8]])
    return write_packed(
        {
            "train": (np.concatenate([images, others[3:4]]), np.concatenate([labels, of_test[3:4]])),
            "validation": digits(20, 300),
            "test": (others, of_test),
            "unlabeled": (unlabeled, np.full(30, -1)),
        }
    )


@pytest.fixture
def features(data: Path, tmp_path: Path) -> Path:
    return write_features(tmp_path / "features", data)


def run(features: Path, data: Path, out: Path, **keys: Any) -> dict[str, Any]:
    explore(ExploreOfDataset(**keys), features=features, data=data, seed=0, out=out)
    check_replaceable(out, module._OWN)  # by the next
    assert {file.name for file in out.iterdir()} == FILES
    content: dict[str, Any] = read_json(out / "explore.json")
    return content


def table(out: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(out / f"{name}.csv", keep_default_na=False)


def test_planted_copies_across_splits_come_first_and_are_counted(features: Path, data: Path, tmp_path: Path) -> None:
    content = run(features, data, tmp_path / "out", min_cosine=0.999)
    found = table(tmp_path / "out", "duplicates")
    first = found[found["group"] <= 2]
    assert sorted(first[["split", "row"]].itertuples(index=False, name=None)) == [
        *(("test", 3), ("test", 7), ("train", 150), ("unlabeled", 180))
    ]
    assert first["across"].all() and (first["cosine"] > 0.999).all()
    assert first.loc[first["row"] == 3, ["closest_split", "closest_row"]].to_numpy().tolist() == [["train", 150]]
    assert content["duplicates"]["pairs_across"] == 2
    assert content["duplicates"]["images_across"] == {"test": 2, "train": 1, "unlabeled": 1}
    assert content["images"] == {"train": 151, "unlabeled": 30, "test": 40}
    assert (content["run"]["step"], content["run"]["seed"], content["note"]) == ("explore", 0, None)


def test_without_pictures_the_page_has_names_only(features: Path, data: Path, tmp_path: Path) -> None:
    run(features, data, tmp_path / "out", pictures=False)
    page = (tmp_path / "out/explore.html").read_text()
    assert "data:image" not in page and 'class="picture"' not in page
    assert "Pictures are left out, as page.pictures is false." in page and "train/150.png" in page


def test_every_image_is_ranked_by_distance_and_in_its_cluster(features: Path, data: Path, tmp_path: Path) -> None:
    content = run(features, data, tmp_path / "out", splits=["train", "validation"], n_clusters=6)
    outliers, clusters = table(tmp_path / "out", "outliers"), table(tmp_path / "out", "clusters")
    assert outliers["distance"].is_monotonic_decreasing and len(outliers) == len(clusters) == 171
    sizes = clusters.groupby("cluster").size()
    assert sizes.is_monotonic_decreasing and len(sizes) == content["clusters"]["count"] == 6
    assert (clusters.groupby("cluster")["rank"].max() == sizes).all()
    assert clusters.groupby("cluster")["distance"].apply(lambda of_one: of_one.is_monotonic_increasing).all()
    assert content["clusters"]["labeled"] == 171 and 0.1 < content["clusters"]["adjusted_rand_index"] < 1
    assert set(clusters["class"]) == set(DIGITS)


def test_labels_of_the_test_split_are_not_read(features: Path, data: Path, tmp_path: Path) -> None:
    content = run(features, data, tmp_path / "out")
    rows = pd.read_parquet(features / "test/rows.parquet")
    rows.assign(label=(rows["label"] + 1) % 10, **{"class": "other"}).to_parquet(features / "test/rows.parquet")
    again = run(features, data, tmp_path / "again")
    assert content["clusters"] == again["clusters"] and content["clusters"]["labeled"] == 151
    for name in FILES - {"explore.json"}:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_features_of_the_test_split_have_no_part_in_what_is_proposed(
    features: Path, data: Path, tmp_path: Path
) -> None:
    run(features, data, tmp_path / "out", n_to_label=12)
    known = {split: np.load(features / split / "backbone.npy") for split in ("train", "validation", "test")}
    other = write_features(tmp_path / "other", data, known | {"test": np.repeat(known["train"][155:160], 8, axis=0)})
    run(other, data, tmp_path / "again", n_to_label=12)
    assert (tmp_path / "out/to_label.csv").read_bytes() == (tmp_path / "again/to_label.csv").read_bytes()
    assert (tmp_path / "out/outliers.csv").read_bytes() != (tmp_path / "again/outliers.csv").read_bytes()


def test_names_with_line_ends_and_classes_that_look_missing_are_read_as_they_are(
    features: Path, data: Path, tmp_path: Path
) -> None:
    rows = pd.read_parquet(features / "train/rows.parquet")
    rows["source"] = [f"a\r{row}.png" for row in range(len(rows))]
    rows["class"] = rows["class"].replace({"one": "NA", "two": "b\rc"})
    rows.to_parquet(features / "train/rows.parquet")
    run(features, data, tmp_path / "out")
    with (tmp_path / "out/outliers.csv").open(newline="") as file:
        read = [line for line in csv.DictReader(file) if line["split"] == "train"]
    assert {line["source"] for line in read} == set(rows["source"][:151])
    assert {value_of(line["class"]) for line in read} == set(rows["class"][:151])
    assert "b\rc" in set(pd.read_csv(tmp_path / "out/outliers.csv", lineterminator="\n")["class"])


def test_planted_wrong_labels_come_first_with_the_labels_of_their_neighbors(
    write_packed: WritePacked, tmp_path: Path
) -> None:
    images, labels = digits(400)
    wrong = np.arange(0, 400, 20)
    given = labels.copy()
    given[wrong] = (labels[wrong] + 1 + wrong // 20 % 9) % 10
    data = write_packed({"train": (images, given), "validation": digits(40, 400), "test": digits(40, 440)})
    content = run(write_features(tmp_path / "f", data), data, tmp_path / "out")
    found = table(tmp_path / "out", "mistakes")
    assert list(found) == [
        *("score", "looks_wrong", "split", "row", "source", "class"),
        *("prediction", "probability", "neighbors", "neighbor_classes"),
    ]
    assert set(found["split"]) == {"train"} and len(found) == 400
    assert np.isin(wrong, found["row"][:40]).sum() >= 0.8 * len(wrong)
    first = found.iloc[0]
    assert first["looks_wrong"] and first["class"] == DIGITS[given[first["row"]]]
    assert first["prediction"] == DIGITS[labels[first["row"]]] and first["probability"] > 0.9
    sources, classes = json.loads(first["neighbors"]), json.loads(first["neighbor_classes"])
    assert classes == [DIGITS[given[int(re.sub(r"\D", "", source))]] for source in sources] and len(sources) == 10
    doubtful = found[found["looks_wrong"]]
    assert doubtful.index.tolist() == list(range(len(doubtful))) and doubtful["score"].is_monotonic_decreasing
    assert content["labels"] == {"judged": 400, "doubtful": len(doubtful)}
    page = (tmp_path / "out/explore.html").read_text()
    assert f"{len(doubtful)} of 400 labels, none of the test split, look wrong" in page
    assert f"train {first['row']}\n{first['source']}\n{first['class']}\n→ {first['prediction']}" in page


def test_images_of_a_group_do_not_vote_for_each_other(write_packed: WritePacked, tmp_path: Path) -> None:
    images, labels = digits(300)
    images, labels = np.concatenate([images, images[:1].repeat(12, axis=0)]), np.append(labels, [7] * 12)
    data = write_packed({"train": (images, labels), "validation": digits(40, 400), "test": digits(40, 440)})
    features = write_features(tmp_path / "f", data)
    rows = pd.read_parquet(features / "train/rows.parquet")

    def of_copies(out: str) -> pd.Series[bool]:
        found = table(tmp_path / out, "mistakes")
        return found.loc[found["row"] >= 300, "looks_wrong"]

    run(features, data, tmp_path / "alone")
    assert len(of_copies("alone")) == 12 and not of_copies("alone").any()
    groups = pd.Series([*range(300), *[300] * 12], dtype="string")
    rows.assign(group=groups).to_parquet(features / "train/rows.parquet")
    run(features, data, tmp_path / "grouped", splits=["train"])
    assert of_copies("grouped").all()


def test_features_that_are_not_finite_are_named(features: Path, data: Path, tmp_path: Path) -> None:
    values = np.load(features / "test/backbone.npy")
    values[5, 3] = np.nan
    np.save(features / "test/backbone.npy", values)
    with pytest.raises(UserError, match=r"features of row 5 of test \(test/5\.png\) are not finite"):
        run(features, data, tmp_path / "out")


def test_to_label_are_unlabeled_images_or_those_of_train_and_never_of_test(
    features: Path, data: Path, write_packed: WritePacked, tmp_path: Path
) -> None:
    run(features, data, tmp_path / "out", n_to_label=12)
    proposed = table(tmp_path / "out", "to_label")
    assert set(proposed["split"]) == {"unlabeled"} and proposed["order"].tolist() == list(range(1, 13))
    assert proposed["row"].is_unique
    assert read_json(tmp_path / "out/explore.json")["to_label"] == {"uncertain_first": True}
    assert "least certain of" in (tmp_path / "out/explore.html").read_text()
    labeled = write_packed(name="labeled")
    run(write_features(tmp_path / "f", labeled), labeled, tmp_path / "labeled-out", n_to_label=12)
    assert set(table(tmp_path / "labeled-out", "to_label")["split"]) == {"train"}
    assert read_json(tmp_path / "labeled-out/explore.json")["to_label"] == {"uncertain_first": False}
    assert "first of clusters without a label" in (tmp_path / "labeled-out/explore.html").read_text()
    for split in ("test", "train"):  # the latter are labeled, while others are not
        run(features, data, tmp_path / split, splits=[split])
        assert (tmp_path / split / "to_label.csv").read_text() == "order,split,row,source,class\n"


def test_the_page_shows_pictures_and_names_as_text_and_loads_nothing(
    features: Path, data: Path, tmp_path: Path
) -> None:
    rows = pd.read_parquet(features / "test/rows.parquet")
    name = "<script>alert('x')</script>&\"{{ 1 }}.png"
    rows.assign(source=name).to_parquet(features / "test/rows.parquet")
    run(features, data, tmp_path / "out", min_cosine=0.999)
    page = (tmp_path / "out/explore.html").read_text()
    assert "<script" not in page and "{{ 1 }}.png" in page and "http" not in page
    assert set(re.findall(r"url\((.{5})", page)) == {"data:"}
    for heading in (
        "Near-duplicates",
        "Outliers",
        "Clusters",
        "To label next",
        "Labels that look wrong",
        "Group 1: 2 images, across splits",
    ):
        assert heading in page
    assert "2 of 2 pairs are across splits" in page and "adjusted Rand index of 0." in page


def test_pictures_lead_to_the_files_that_are_there(
    features: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = read_json(data / "dataset.json")
    write_json(data / "dataset.json", {**facts, "source": {"source": "folder", "path": str(tmp_path / "my images")}})
    run(features, data, tmp_path / "out", min_cosine=0.999)
    assert "<a " not in (tmp_path / "out/explore.html").read_text()
    (tmp_path / "my images/test").mkdir(parents=True)
    (tmp_path / "my images/test/3.png").write_bytes(b"")
    run(features, data, tmp_path / "elsewhere", min_cosine=0.999)
    assert (
        f'<a href="file://{tmp_path}/my%20images/test/3.png">test 3\n'
        in (tmp_path / "elsewhere/explore.html").read_text()
    )
    monkeypatch.chdir(tmp_path)
    run(features, data, tmp_path / "out", min_cosine=0.999)
    assert '<a href="../my%20images/test/3.png">test 3\n' in (tmp_path / "out/explore.html").read_text()


def test_too_many_images_are_explored_only_if_their_splits_are_named(
    features: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MOST_AUTO", 220)
    content = run(features, data, tmp_path / "out")
    assert content["note"].startswith("The images were not explored, as there are 221, more than 220: name")
    assert content["note"] in caplog.text and content["note"] in (tmp_path / "out/explore.html").read_text()
    assert not len(table(tmp_path / "out", "outliers")) and content["clusters"]["count"] == 0
    assert run(features, data, tmp_path / "named", splits=["train", "unlabeled", "test"])["note"] is None


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_few_or_equal_rows_make_all_files(rows: int, write_packed: WritePacked, tmp_path: Path) -> None:
    images, labels = digits(1)
    few = write_packed(
        {split: (images.repeat(rows, axis=0), labels.repeat(rows)) for split in ("train", "validation", "test")}
    )
    content = run(write_features(tmp_path / "f", few), few, tmp_path / "o", n_clusters=20, n_neighbors=9)
    assert content["clusters"]["count"] == min(rows, 1)
    assert len(table(tmp_path / "o", "duplicates")) == 2 * rows
    assert content["duplicates"]["pairs_across"] == rows**2


def test_a_split_without_images_is_named(write_packed: WritePacked, tmp_path: Path) -> None:
    data = write_packed()
    features = write_features(tmp_path / "f", data)
    with pytest.raises(UserError, match=r"explore\.splits: unlabeled of data has no images: remove it"):
        run(features, data, tmp_path / "out", splits=["train", "unlabeled"])
    assert run(features, data, tmp_path / "out")["images"]["unlabeled"] == 0


def test_features_of_two_encoders_or_of_other_data_are_refused(features: Path, data: Path, tmp_path: Path) -> None:
    facts = read_json(features / "test/run.json")
    write_json(features / "test/run.json", {**facts, "model_hash": "other"})
    with pytest.raises(UserError, match=r"train and \S+test hold features of different encoders: run predict"):
        run(features, data, tmp_path / "out")
    write_json(features / "test/run.json", {**facts, "run": {"data_hash": "other"}})
    with pytest.raises(UserError, match="computed from data other than"):
        run(features, data, tmp_path / "out")
    (features / "test/run.json").unlink()
    with pytest.raises(UserError, match="does not exist"):
        run(features, data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
