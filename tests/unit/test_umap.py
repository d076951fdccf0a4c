from __future__ import annotations

import base64
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from PIL import Image
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from simclr_steps import thumbnails
from simclr_steps.errors import UserError
from simclr_steps.interactive import interactive
from simclr_steps.points import Points
from simclr_steps.settings import UmapSettings
from simclr_steps.thumbnails import Sprite, sprite
from simclr_steps.umap import draw, umap
from tests.unit.browser import needs_chromium, visit
from tests.unit.conftest import DIGITS, Labels, WritePacked, digits

LAYERS = ("backbone", "projection_head")


@pytest.fixture
def data(write_packed: WritePacked) -> Path:
    return write_packed({"train": digits(9), "test": digits(120, 260)})


def write_features(folder: Path, labels: Labels, values: Any = None) -> Path:
    """Write what gather writes; the features are pixels, or `values`."""
    folder.mkdir()
    if values is None:
        values = digits(len(labels), 260)[0].reshape(len(labels), -1).astype(np.float32)
    for layer in LAYERS:
        np.save(folder / f"{layer}.npy", values)
    known = pd.Series(labels, dtype="Int64").mask(labels < 0)
    names = [DIGITS[label] if label >= 0 else None for label in labels]
    sources = [f"test/{row}.png" for row in range(len(labels))]
    table = pd.DataFrame({"row": range(len(labels)), "source": sources, "label": known, "class": names})
    table.to_parquet(folder / "rows.parquet", index=False)
    (folder / "run.json").write_text(json.dumps({"split": "test", "run": {"data_hash": "hash-of-data"}}))
    return folder


def run(features: Path, data: Path, out: Path, **keys: Any) -> dict[str, Any]:
    umap(UmapSettings(**{"n_neighbors": 5, **keys}), features=features, data=data, out=out)
    quality: dict[str, Any] = json.loads((out / "quality.json").read_text())
    return quality


def test_every_file_is_there_and_the_quality_is_scikit_learns(data: Path, tmp_path: Path) -> None:
    labels = digits(60, 260)[1]
    features, out = write_features(tmp_path / "features", labels), tmp_path / "out"
    quality = run(features, data, out)
    expected = {f"{layer}.{kind}" for layer in LAYERS for kind in ("csv", "html", "png", "svg")} | {"quality.json"}
    assert {path.name for path in out.iterdir()} == expected
    table = pd.read_csv(out / "backbone.csv")
    assert list(table) == ["row", "x", "y", "label", "class"]
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
    page = (out / "backbone.html").read_text()
    links = re.findall(r"<(?:script|link|img)[^>]*(?:src|href)\s*=\s*.(.{5})", page)
    assert set(links) == {"data:"}, "the page must load nothing"
    assert "cdn." not in page


def test_the_seed_decides_every_coordinate(data: Path, tmp_path: Path) -> None:
    features = write_features(tmp_path / "features", digits(60, 260)[1])
    tables = []
    for number, seed in enumerate((0, 0, 1)):
        run(features, data, tmp_path / str(number), random_state=seed)
        tables.append((tmp_path / str(number) / "backbone.csv").read_bytes())
    assert tables[0] == tables[1] != tables[2]


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
    says = "supervised: UMAP was shown the labels"
    assert says in (outs["supervised"] / "backbone.html").read_text()
    assert says not in (outs["plain"] / "backbone.html").read_text()


def test_features_without_labels_get_no_invented_metric(data: Path, tmp_path: Path) -> None:
    features = write_features(tmp_path / "features", np.full(60, -1))
    found = run(features, data, tmp_path / "out")["backbone"]
    assert (found["knn_accuracy_plane"], found["knn_accuracy_features"], found["silhouette"]) == (None, None, None)
    assert found["trustworthiness"] > 0.5
    assert "cannot be measured" in found["note"]
    assert "no image has a label" in (tmp_path / "out" / "backbone.html").read_text()
    with pytest.raises(UserError, match=r"umap\.supervised"):
        run(features, data, tmp_path / "supervised", supervised=True)


def test_many_rows_are_thinned_by_class_and_the_plot_says_so(data: Path, tmp_path: Path) -> None:
    labels = np.repeat([0, 1], [90, 30])
    run(write_features(tmp_path / "features", labels), data, tmp_path / "out", max_points=40)
    table = pd.read_csv(tmp_path / "out" / "backbone.csv")
    assert dict(table["label"].value_counts()) == {0: 30, 1: 10}
    assert "40 points, thinned from 120" in (tmp_path / "out" / "backbone.html").read_text()


def test_too_few_rows_name_the_key(data: Path, tmp_path: Path) -> None:
    features = write_features(tmp_path / "features", digits(15, 260)[1])
    with pytest.raises(UserError, match=r"umap\.n_neighbors: 15 takes at least 16 rows"):
        run(features, data, tmp_path / "out", n_neighbors=15)
    assert not (tmp_path / "out").exists()


def points(classes: int, unlabelled: float = 0.0) -> Points:
    random = np.random.default_rng(0)
    labels = pd.Series(np.arange(400) % max(classes, 1), dtype="Int64").mask(random.random(400) < unlabelled)
    if not classes:
        labels = labels.mask(labels.notna())
    x, y = random.normal(size=(2, 400))
    sources = [f"{row}.png" for row in range(400)]
    table = pd.DataFrame({"row": range(400), "x": x, "y": y, "label": labels, "source": sources})
    table["prediction"] = table["label"].where(random.random(400) > 0.1, (table["label"] + 1) % max(classes, 1))
    return Points("backbone", ["Title"], table, [f"class {number}" for number in range(classes)])


@pytest.mark.parametrize(("classes", "unlabelled", "entries"), [(10, 0, 10), (10, 0.5, 11), (100, 0, 100), (0, 0, 0)])
def test_the_legend_names_every_class_and_lies_within_the_figure_beside_the_points(
    classes: int, unlabelled: float, entries: int
) -> None:
    figure = draw(points(classes, unlabelled))
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    assert len(figure.legends) == (1 if entries else 0)
    for legend in figure.legends:
        assert len(legend.get_texts()) == entries
        box, axes, whole = legend.get_window_extent(), figure.axes[0].get_window_extent(), figure.bbox
        assert box.x0 > axes.x1
        assert box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1


def images(count: int = 400) -> Sprite:
    return sprite(np.random.default_rng(0).integers(0, 255, (count, 4, 4, 3)).astype(np.uint8))


def test_a_hostile_class_name_stays_text() -> None:
    original = points(2)
    hostile = Points("backbone", ["Title"], original.table, ["</script><script>alert(1)</script>", "b"])
    assert "<script>alert(1)" not in interactive(hostile, images())


@needs_chromium
@pytest.mark.parametrize(("classes", "width"), [(10, 1280), (10, 390), (0, 1280)])
def test_the_interactive_page_draws_in_a_browser_without_network_or_error(
    classes: int, width: int, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text(interactive(points(classes), images()))
    seen = visit(page, tmp_path / "browser", width)
    assert (seen.requests, seen.console) == ([], [])
    for _, colour, _ in points(classes).groups():
        shade = 255 * np.array(to_rgb(colour))
        assert (np.abs(seen.picture - (0.85 * shade + 0.15 * 255)).max(axis=2) < 8).sum() > 50, colour


@needs_chromium
def test_the_browser_notices_a_request_and_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<img src="https://example.org/x.png"><script>throw new Error("boo")</script>')
    seen = visit(page, tmp_path / "browser")
    assert seen.requests == ["https://example.org/x.png"]
    assert "boo" in "".join(seen.console)


def test_ten_thousand_points_with_the_largest_sprite_make_a_page_of_less_than_ten_megabytes() -> None:
    count, random = 10_000, np.random.default_rng(0)
    labels = pd.Series(random.integers(0, 10, count), dtype="Int64")
    sources = [f"a/folder/of/pictures/image_{row:06d}.png" for row in range(count)]
    x, y = random.normal(size=(2, count))
    table = pd.DataFrame({"row": range(count), "x": x, "y": y, "label": labels, "source": sources})
    many = Points("backbone", ["Title"], table.assign(prediction=labels), [f"class {number}" for number in range(10)])
    largest = Sprite("data:" + "A" * (thumbnails._MOST_BYTES * 4 // 3), 100, 32, 32)
    assert len(interactive(many, largest).encode()) < 10_000_000


def test_images_too_many_for_a_lossless_sprite_are_compressed_more(monkeypatch: pytest.MonkeyPatch) -> None:
    tiles = np.random.default_rng(0).integers(0, 255, (100, 16, 16, 3)).astype(np.uint8)
    lossless = sprite(tiles)
    assert lossless.uri.startswith("data:image/png;base64,")
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(lossless.uri.partition(",")[2]))))
    np.testing.assert_array_equal(picture[32:48, 16:32], tiles[2 * lossless.columns + 1])
    monkeypatch.setattr(thumbnails, "_MOST_BYTES", 20_000)
    lossy = sprite(tiles).uri
    assert lossy.startswith("data:image/webp;base64,")
    assert len(lossy) < 20_000 * 4 / 3 + 50


def test_each_point_knows_its_own_image_and_what_its_neighbours_vote() -> None:
    some = points(3)
    sheet = images()
    html = interactive(some, sheet)
    content = json.loads(re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.DOTALL)[0])
    found = [entity for entity in _entities(content) if entity.get("name") == "ColumnDataSource"]
    assert len(found) == 3
    seen = {}
    for entity in found:
        columns = {key: _values(values) for key, values in entity["attributes"]["data"]["entries"]}
        for row, left, top, edge in zip(*(columns[key] for key in ("row", "left", "top", "edge")), strict=True):
            seen[int(row)] = (-left // 96, -top // 96, edge)
    assert len(seen) == 400
    wrong = (some.table["label"] != some.table["prediction"]).to_numpy(dtype=bool)
    assert 0 < wrong.sum() < 400
    for row, (column, line, edge) in seen.items():
        assert line * sheet.columns + column == row
        assert (edge == "black") == wrong[row]


def _entities(content: Any) -> list[dict[str, Any]]:
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else []
    return [*([content] if isinstance(content, dict) else []), *(found for one in inner for found in _entities(one))]


def _values(values: Any) -> Any:
    """Decode what bokeh writes: a list, or bytes in base64."""
    if values["type"] == "ndarray" and isinstance(values["array"], dict):
        return np.frombuffer(gzip.decompress(base64.b64decode(values["array"]["data"])), dtype=values["dtype"])
    return values["array"] if values["type"] == "ndarray" else values
