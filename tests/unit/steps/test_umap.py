from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from simclr_steps.figures.points import quality_lines
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.replaced import check_replaceable
from simclr_steps.settings.umap import UmapOfDataset
from simclr_steps.steps import umap as module
from simclr_steps.steps.umap import umap
from tests.unit.conftest import Labels, WritePacked, deep_digits, digits
from tests.unit.digit_names import DIGITS

LAYERS = ("backbone", "projection_head")


@pytest.fixture
def data(write_packed: WritePacked) -> Path:
    return write_packed({"train": digits(9), "test": digits(120, 260)})


def write_features(folder: Path, labels: Labels, values: Any = None) -> Path:
    """Write what gather writes; the features are pixels, or `values`."""
    folder.mkdir()
    if values is None:
        values = digits(len(labels), 260)[0].reshape(len(labels), 64).astype(np.float32)
    for layer in LAYERS:
        np.save(folder / f"{layer}.npy", values)
    known = pd.Series(labels, dtype="Int64").mask(labels < 0)
    names = [DIGITS[label] if label >= 0 else None for label in labels]
    sources = [f"test/{row}.png" for row in range(len(labels))]
    table = pd.DataFrame({"row": range(len(labels)), "source": sources, "label": known, "class": names})
    table.to_parquet(folder / "rows.parquet", index=False)
    (folder / "run.json").write_text(json.dumps({"split": "test", "run": {"data_hash": "pixels-of-data"}}))
    return folder


def run(features: Path, data: Path, out: Path, **keys: Any) -> dict[str, Any]:
    umap(UmapOfDataset(**{"n_neighbors": 5, **keys}), features=[features], data=data, out=out)
    check_replaceable(out, module._OWN)  # by the next
    quality: dict[str, Any] = json.loads((out / "quality.json").read_text())
    return quality


def test_pictures_of_points_show_the_channels_that_are_asked_for() -> None:
    images, rows = deep_digits(300, channels=5)[0], np.arange(299, -1, -1)
    (shown,) = module._tiles(images.__getitem__, rows, {3: (0, 1, 0)}, None)
    np.testing.assert_array_equal(shown[..., 1], np.rint(images[::-1, ..., 3] / 257))
    assert shown.shape == (300, 8, 8, 3) and not shown[..., [0, 2]].any()


def test_dim_pictures_of_points_are_brightened_alike_which_the_page_says(
    write_packed: WritePacked, tmp_path: Path
) -> None:
    images, labels = deep_digits(60, 260)
    data = write_packed({"train": deep_digits(9), "test": (images // 4, labels)})
    run(write_features(tmp_path / "features", labels), data, tmp_path / "out")
    page = (tmp_path / "out" / "map.html").read_text()
    (sheet,) = re.findall(r"--images: url\(data:image/png;base64,([\w+/=]+)", page)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet))))[..., 0]
    np.testing.assert_allclose(shown[:8, :8], images[0, ..., 0] / 257, atol=4)
    assert "<p>All images are brightened alike.</p>" in page


def test_many_images_are_in_files_beside_the_page(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_INLINED", 59)
    monkeypatch.setattr(module, "IN_A_SHEET", 40)
    run(write_features(tmp_path / "features", digits(60, 260)[1]), data, tmp_path / "out")
    sheets = [Image.open(tmp_path / "out/map_images" / f"{number:04}.webp") for number in range(2)]
    assert [sheet.size for sheet in sheets] == [(56, 48), (40, 32)]
    shown, expected = np.asarray(sheets[1].convert("L"))[:8, 8:16], digits(60, 260)[0][41, ..., 0]
    assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.9
    assert '"map_images"' in (tmp_path / "out/map.html").read_text()


def test_without_pictures_the_map_and_its_table_hold_none(data: Path, tmp_path: Path) -> None:
    run(write_features(tmp_path / "features", digits(60, 260)[1]), data, tmp_path / "out", pictures=False)
    page = (tmp_path / "out/map.html").read_text()
    assert "data:image" not in page and '"tile": null' in page and "see which image it is" in page
    assert "thumbnail" not in pd.read_parquet(tmp_path / "out/points.parquet")
    assert not [*(tmp_path / "out/map_images").iterdir()]


def test_every_file_is_there_and_the_quality_is_scikit_learns(data: Path, tmp_path: Path) -> None:
    labels = digits(60, 260)[1]
    features, out = write_features(tmp_path / "features", labels), tmp_path / "out"
    quality = run(features, data, out)
    expected = {f"{layer}.{kind}" for layer in LAYERS for kind in ("csv", "png", "svg")}
    expected |= {"quality.json", "points.parquet", "map.html", "map_images"}
    assert {path.name for path in out.iterdir()} == expected
    table = pd.read_csv(out / "backbone.csv")
    assert list(table) == ["split", "row", "x", "y", "label", "class"]
    np.testing.assert_array_equal(table["row"], np.arange(60))
    np.testing.assert_array_equal(table["label"], labels)

    plane, values = table[["x", "y"]].to_numpy(), np.load(features / "backbone.npy")
    found = quality["backbone"]
    assert found["trustworthiness"] == pytest.approx(
        trustworthiness(values, plane, n_neighbors=5, metric="cosine"), abs=1e-6
    )
    assert found["silhouette"] == pytest.approx(silhouette_score(plane, labels), abs=1e-4)
    for name, x, metric in (("plane", plane, "euclidean"), ("features", values, "cosine")):
        votes = cross_val_score(KNeighborsClassifier(10, metric=metric), x, labels, cv=LeaveOneOut())
        assert found[f"knn_accuracy_{name}"] == pytest.approx(votes.mean(), abs=1e-9)
        low, high = found["intervals"][f"knn_accuracy_{name}"]
        assert found["images"] == 60 and low < votes.mean() < high
    page = (out / "map.html").read_text()
    links = re.findall(r"<(?:script|link|img)[^>]*(?:src|href)\s*=\s*.(.{5})", page)
    assert set(links) == {"data:"}, "the page must load nothing"
    assert not list((out / "map_images").iterdir()), "few images are in the page"
    for line in quality_lines(found):
        assert line in page
        assert line in (out / "backbone.svg").read_text()


def test_group_and_further_columns_are_in_the_tables_of_points(data: Path, tmp_path: Path) -> None:
    features = write_features(tmp_path / "features", digits(60, 260)[1])
    rows = pd.read_parquet(features / "rows.parquet")
    of_tiles = {"x": "7", "y": "9"}  # places in a parent; those in the plane take the names
    rows.assign(group="a", plate=pd.Series(["p, 1", None] * 30), **of_tiles).to_parquet(features / "rows.parquet")
    run(features, data, tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "projection_head.csv")
    assert list(table) == ["split", "row", "x", "y", "label", "class", "group", "plate"]
    assert table["plate"].fillna("").tolist() == ["p, 1", ""] * 30 and table["x"].nunique() > 50


def test_the_points_of_both_layers_are_one_table_with_pictures_clusters_and_votes(data: Path, tmp_path: Path) -> None:
    images, labels = digits(60, 260)
    features, out = write_features(tmp_path / "features", np.where(np.arange(60) % 3, labels, -1)), tmp_path / "out"
    rows = pd.read_parquet(features / "rows.parquet")
    plates = pd.Series(["P1", None] * 30, dtype="string")
    rows.assign(group="a", plate=plates, path="not the image's").to_parquet(features / "rows.parquet")
    run(features, data, out)
    points = pd.read_parquet(out / "points.parquet")
    planes = ["backbone_x", "backbone_y", "projection_head_x", "projection_head_y"]
    assert list(points) == [
        *("split", "row", *planes, "path", "label", "prediction", "cluster", "group", "plate", "thumbnail")
    ]
    for layer in LAYERS:
        plane = pd.read_csv(out / f"{layer}.csv")[["x", "y"]]
        np.testing.assert_allclose(points[[f"{layer}_x", f"{layer}_y"]], plane, rtol=1e-6)
    assert points["path"].tolist() == rows["source"].tolist()
    assert points["label"].fillna("").tolist() == rows["class"].fillna("").tolist()
    assert points["plate"].fillna("").tolist() == plates.fillna("").tolist()
    known = points.dropna(subset=["label"])
    assert known["prediction"].notna().all() and points["prediction"].isna().sum() == 20
    assert (known["label"] == known["prediction"]).mean() == pytest.approx(
        json.loads((out / "quality.json").read_text())["backbone"]["knn_accuracy_features"]
    )
    assert set(points["cluster"]) == set(range(1, 11)), "as many as classes"
    for row in (0, 59):
        picture = np.asarray(Image.open(io.BytesIO(points["thumbnail"][row])))
        np.testing.assert_array_equal(picture, np.broadcast_to(images[row], (8, 8, 3)))


def test_points_are_drawn_by_the_columns_that_are_asked_for(data: Path, tmp_path: Path) -> None:
    features = write_features(tmp_path / "features", digits(60, 260)[1])
    rows = pd.read_parquet(features / "rows.parquet")
    plates = pd.Series(["P1", "P2", None] * 20)
    further: dict[str, Any] = {"site": ["here", "there"] * 30, "note": "the same", "plate": plates}
    rows.assign(**further).to_parquet(features / "rows.parquet")
    run(features, data, tmp_path / "out", columns=["plate"])
    assert {path.name for path in (tmp_path / "out").glob("metadata.*")} == {"metadata.png", "metadata.svg"}
    (content,) = re.findall(r'id="facts">(.*?)</script>', (tmp_path / "out" / "map.html").read_text())
    colorings = json.loads(content)["colorings"]
    assert [one["name"] for one in colorings] == ["class", "prediction", "cluster", "plate", "site"]
    assert [group["name"] for group in colorings[3]["groups"]] == ["unknown", "P1", "P2"]
    with pytest.raises(UserError, match='metadata: data has no column "plat"; did you mean "plate"'):
        run(features, data, tmp_path / "other", columns=["plat"])


def test_the_seed_decides_every_coordinate(data: Path, tmp_path: Path) -> None:
    features = write_features(tmp_path / "features", digits(60, 260)[1])
    tables = []
    for number, seed in enumerate((0, 0, 1)):
        run(features, data, tmp_path / str(number), random_state=seed)
        files = [tmp_path / str(number) / name for name in ("backbone.csv", "points.parquet", "map.html")]
        tables.append([file.read_bytes() for file in files])
    assert tables[0] == tables[1] and all(one != other for one, other in zip(*tables[1:], strict=True))


def test_labels_are_shown_to_umap_only_if_asked_and_the_plot_says_so(data: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 120)
    shuffled = random.permutation(labels)
    noise = random.normal(size=(120, 16)).astype(np.float32)
    outs = {}
    for name, of_rows in (("plain", labels), ("shuffled", shuffled), ("supervised", labels)):
        features = write_features(tmp_path / f"{name}-features", of_rows, noise)
        outs[name] = tmp_path / name
        run(features, data, outs[name], supervised=name == "supervised")
    coordinates = {name: pd.read_csv(out / "backbone.csv")[["x", "y"]].to_numpy() for name, out in outs.items()}
    np.testing.assert_array_equal(coordinates["plain"], coordinates["shuffled"])
    assert not np.array_equal(coordinates["plain"], coordinates["supervised"])
    says = "supervised: UMAP was given the labels"
    assert says in (outs["supervised"] / "map.html").read_text()
    assert says not in (outs["plain"] / "map.html").read_text()


def test_features_without_labels_get_no_invented_metric(write_packed: WritePacked, tmp_path: Path) -> None:
    data = write_packed({"train": digits(9), "test": (digits(120, 260)[0], np.full(120, -1))})
    features = write_features(tmp_path / "features", np.full(60, -1))
    found = run(features, data, tmp_path / "out")["backbone"]
    assert (found["knn_accuracy_plane"], found["knn_accuracy_features"], found["silhouette"]) == (None, None, None)
    assert found["trustworthiness"] > 0.5
    assert "were not measured: they require labels" in found["note"]
    assert "no image has a label" in (tmp_path / "out" / "map.html").read_text()
    with pytest.raises(UserError, match=r"umap\.supervised: test of data has no labels for UMAP to use"):
        run(features, data, tmp_path / "supervised", supervised=True)


def test_many_rows_are_thinned_by_class_and_the_plot_says_so(data: Path, tmp_path: Path) -> None:
    labels = np.repeat([0, 1], [90, 30])
    run(write_features(tmp_path / "features", labels), data, tmp_path / "out", max_points=40)
    table = pd.read_csv(tmp_path / "out" / "backbone.csv")
    assert dict(table["label"].value_counts()) == {0: 30, 1: 10}
    assert "40 points, sampled from 120" in (tmp_path / "out" / "map.html").read_text()


@pytest.mark.parametrize(("rows", "labeled"), [(10, True), (15, True), (15, False)])
def test_a_small_split_is_drawn_with_fewer_neighbors_and_the_plot_says_so(
    rows: int, labeled: bool, data: Path, tmp_path: Path
) -> None:
    labels = digits(rows, 260)[1] if labeled else np.full(rows, -1)
    quality = run(write_features(tmp_path / "features", labels), data, tmp_path / "out", n_neighbors=15)
    assert 0 < quality["backbone"]["trustworthiness"] <= 1
    assert pd.read_csv(tmp_path / "out" / "backbone.csv")[["x", "y"]].notna().all().all()
    assert f"n_neighbors {rows - 1} (instead of 15" in (tmp_path / "out" / "map.html").read_text()


@pytest.mark.parametrize("rows", [0, 1, 9])
def test_a_split_of_a_few_rows_makes_files_that_say_why_there_is_no_plot(rows: int, data: Path, tmp_path: Path) -> None:
    features = write_features(tmp_path / "features", digits(rows, 260)[1])
    quality = run(features, data, tmp_path / "out")
    files = {f"{layer}.{kind}" for layer in LAYERS for kind in ("csv", "png", "svg")}
    files |= {"quality.json", "points.parquet", "map.html", "map_images"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == files
    assert f"the test split has {rows} image{'s' * (rows != 1)}," in quality["backbone"]["note"]
    assert quality["backbone"]["note"] in (tmp_path / "out" / "map.html").read_text()
    assert len(pd.read_csv(tmp_path / "out" / "backbone.csv")) == rows
    points = pd.read_parquet(tmp_path / "out" / "points.parquet")
    assert points["row"].tolist() == list(range(rows)) and points["backbone_x"].isna().all()
    assert (points["thumbnail"].str[:4] == b"\x89PNG").all() and points["prediction"].isna().all()
