from __future__ import annotations

import base64
import gzip
import io
import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from PIL import Image
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from simclr_steps.figures.interactive import MOST_BYTES, SIGNS, interactive, with_images
from simclr_steps.figures.plots import COLORS, MARKERS
from simclr_steps.figures.points import Points, quality_lines, shuffled
from simclr_steps.figures.scatter import draw
from simclr_steps.figures.thumbnails import sprite, sprite_columns
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.umap import UmapSettings
from simclr_steps.steps.umap import umap
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
        values = digits(len(labels), 260)[0].reshape(len(labels), 64).astype(np.float32)
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
    for line in quality_lines(found):
        assert line in page
        assert line in (out / "backbone.svg").read_text()


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
    says = "supervised: UMAP was given the labels"
    assert says in (outs["supervised"] / "backbone.html").read_text()
    assert says not in (outs["plain"] / "backbone.html").read_text()


def test_features_without_labels_get_no_invented_metric(write_packed: WritePacked, tmp_path: Path) -> None:
    data = write_packed({"train": digits(9), "test": (digits(120, 260)[0], np.full(120, -1))})
    features = write_features(tmp_path / "features", np.full(60, -1))
    found = run(features, data, tmp_path / "out")["backbone"]
    assert (found["knn_accuracy_plane"], found["knn_accuracy_features"], found["silhouette"]) == (None, None, None)
    assert found["trustworthiness"] > 0.5
    assert "cannot be measured" in found["note"]
    assert "no image has a label" in (tmp_path / "out" / "backbone.html").read_text()
    with pytest.raises(UserError, match=r"umap\.supervised: test of data has no labels to show UMAP"):
        run(features, data, tmp_path / "supervised", supervised=True)


def test_many_rows_are_thinned_by_class_and_the_plot_says_so(data: Path, tmp_path: Path) -> None:
    labels = np.repeat([0, 1], [90, 30])
    run(write_features(tmp_path / "features", labels), data, tmp_path / "out", max_points=40)
    table = pd.read_csv(tmp_path / "out" / "backbone.csv")
    assert dict(table["label"].value_counts()) == {0: 30, 1: 10}
    assert "40 points, thinned from 120" in (tmp_path / "out" / "backbone.html").read_text()


@pytest.mark.parametrize(("rows", "labeled"), [(10, True), (15, True), (15, False)])
def test_a_small_split_is_drawn_with_fewer_neighbors_and_the_plot_says_so(
    rows: int, labeled: bool, data: Path, tmp_path: Path
) -> None:
    labels = digits(rows, 260)[1] if labeled else np.full(rows, -1)
    quality = run(write_features(tmp_path / "features", labels), data, tmp_path / "out", n_neighbors=15)
    assert 0 < quality["backbone"]["trustworthiness"] <= 1
    assert pd.read_csv(tmp_path / "out" / "backbone.csv")[["x", "y"]].notna().all().all()
    assert f"n_neighbors {rows - 1} (instead of 15" in (tmp_path / "out" / "backbone.html").read_text()


@pytest.mark.parametrize("rows", [0, 1, 9])
def test_a_split_of_a_few_rows_makes_files_that_say_why_there_is_no_plot(rows: int, data: Path, tmp_path: Path) -> None:
    features = write_features(tmp_path / "features", digits(rows, 260)[1])
    quality = run(features, data, tmp_path / "out")
    files = {f"{layer}.{kind}" for layer in LAYERS for kind in ("csv", "html", "png", "svg")} | {"quality.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == files
    assert f"the test split has {rows} images" in quality["backbone"]["note"]
    assert quality["backbone"]["note"] in (tmp_path / "out" / "projection_head.html").read_text()
    assert len(pd.read_csv(tmp_path / "out" / "backbone.csv")) == rows


def points(classes: int, unlabeled: float = 0.0, names: str = "class {}", count: int = 400) -> Points:
    random = np.random.default_rng(0)
    labels = pd.Series(np.arange(count) % max(classes, 1), dtype="Int64").mask(random.random(count) < unlabeled)
    if not classes:
        labels = labels.mask(labels.notna())
    x, y = random.normal(size=(2, count))
    sources = [f"/photos/of/all/{row}.png" for row in range(count)]
    table = pd.DataFrame({"row": range(count), "x": x, "y": y, "label": labels, "source": sources})
    table["prediction"] = table["label"].where(random.random(count) > 0.1, (table["label"] + 1) % max(classes, 1))
    quality = ["10-NN accuracy: 93.1 % in the plane, 97.2 % in the space of the features", "Trustworthiness 0.98"]
    title = ["Title", "and a second line"]
    return Points("backbone", title, quality, shuffled(table, 0), [names.format(number) for number in range(classes)])


def drawn(figure: Figure) -> Figure:
    for _ in range(2):  # as for a file: the layout is known after the first time
        FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    return figure


@pytest.mark.parametrize(
    ("classes", "unlabeled", "entries"), [(10, 0, 10), (10, 0.5, 11), (26, 0, 26), (100, 0, 100), (0, 0, 0)]
)
@pytest.mark.parametrize("names", ["class {}", "a class with a very long name, number {}"])
def test_the_legend_names_every_class_and_lies_within_the_figure_clear_of_the_points(
    classes: int, unlabeled: float, entries: int, names: str
) -> None:
    figure = drawn(draw(points(classes, unlabeled, names)))
    assert len(figure.legends) == (1 if entries else 0)
    below = figure.axes[0].xaxis.label.get_window_extent()
    for legend in figure.legends:
        assert len(legend.get_texts()) == entries
        box, axes, whole = legend.get_window_extent(), figure.axes[0].get_window_extent(), figure.bbox
        extents = [text.get_window_extent() for text in legend.get_texts()]
        assert box.x0 > axes.x1 or max(extent.y1 for extent in extents) < below.y0
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
        assert not any(one.overlaps(other) for one, other in itertools.combinations(extents, 2))


def test_quality_stands_within_the_figure() -> None:
    figure = drawn(draw(points(100)))
    label = figure.axes[0].xaxis.label
    assert all(line in label.get_text() for line in points(100).quality)
    box = label.get_window_extent()
    assert figure.bbox.y0 <= box.y0 and box.x1 <= figure.bbox.x1


def test_a_hundred_classes_are_a_hundred_pairs_of_color_and_shape_and_neighbors_differ_in_color() -> None:
    groups = points(100).groups()
    assert len({(group.color, group.shape) for group in groups}) == 100
    assert all(one.color != other.color for one, other in itertools.pairwise(groups))
    assert {group.shape for group in points(10).groups()} == {0}
    assert len(set(MARKERS)) == len(set(SIGNS)) == 10
    figure = draw(points(100))
    scatter: Any = figure.axes[0].collections[0]
    marks = [
        (to_hex(color), path.vertices.tobytes())
        for color, path in zip(scatter.get_facecolors(), scatter.get_paths(), strict=True)
    ]
    labels = points(100).labels()
    assert len(set(marks)) == 100
    assert len(set(zip(marks, labels, strict=True))) == 100, "each class is one pair"


@pytest.mark.parametrize("classes", [101, 130])
def test_more_classes_than_pairs_or_than_a_legend_holds_are_said(classes: int) -> None:
    text = draw(points(classes)).axes[0].get_xlabel()
    assert "colors and shapes repeat" in text
    assert ("too many for a legend" in text) == (classes == 130)
    page = interactive(points(classes), (4, 4))
    assert "colors and shapes repeat" in page
    assert page.count('type="checkbox" checked') == classes


def test_no_class_lies_on_top_of_the_others_but_all_on_those_without_a_label() -> None:
    table = points(10, 0.5).table
    known = table["label"].notna().to_numpy()
    assert not known[: (~known).sum()].any()
    order = table["label"][known].to_numpy(dtype=float)
    assert np.corrcoef(np.arange(len(order)), order)[0, 1] ** 2 < 0.1
    assert list(table.index) != list(shuffled(table.sort_index(), 1).index)


def tiles(count: int = 400, side: int = 4) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (count, side, side, 3)).astype(np.uint8)


def page_of(some: Points) -> str:
    return with_images({"one": interactive(some, (4, 4))}, tiles())["one"]


def test_a_hostile_class_name_stays_text() -> None:
    hostile = points(2, names="</script><script>alert({})</script>")
    assert "<script>alert(1)" not in page_of(hostile)


@needs_chromium
@pytest.mark.parametrize(("classes", "width"), [(classes, width) for classes in (0, 10, 100) for width in (1280, 390)])
def test_the_interactive_page_draws_in_a_browser_without_network_or_error(
    classes: int, width: int, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text(page_of(points(classes)))
    seen = visit(page, tmp_path / "browser", width)
    assert (seen.requests, seen.console) == ([], [])
    plot = seen.picture[: round(0.76 * min(width, 1000)) + 100]
    for color in {group.color for group in points(classes).groups()}:
        assert has(plot, color), color


def has(picture: npt.NDArray[np.uint8], color: str) -> bool:
    shade = 255 * np.array(to_rgb(color))
    return bool((np.abs(picture - (0.85 * shade + 0.15 * 255)).max(axis=2) < 8).sum() > 30)


CLICK_AND_HOVER = """<script>
const wait = setInterval(() => {
  const page = Bokeh.documents[0];
  if (!page || !page.is_idle) return;
  clearInterval(wait);
  document.querySelector("#legend input[value='4']").click();
  const [plot] = Bokeh.index.roots;
  const data = page.get_model_by_name("points").data;
  const at = Array.from(data.label).findIndex((label, row) => label === 5 && data.wrong[row]);
  const area = plot.canvas_view.events_el;
  const {left, top} = area.getBoundingClientRect();
  const clientX = left + plot.frame.x_scale.compute(data.x[at]);
  const clientY = top + plot.frame.y_scale.compute(data.y[at]);
  for (const type of ["pointerover", "pointermove"])
    area.dispatchEvent(new PointerEvent(type, {clientX, clientY, isPrimary: true, pointerType: "mouse"}));
  const isTooltip = node => String(node.className).includes("bk-Tooltip");
  const texts = node => Array.from(node.children, child => isTooltip(child)
    ? child.shadowRoot.textContent.replace(/^:host[^]*}/, "")
    : texts(child) + (child.shadowRoot ? texts(child.shadowRoot) : "")).join("");
  setTimeout(() => console.log(JSON.stringify(texts(document.body))), 500);
}, 50);
</script></body>"""


@needs_chromium
def test_a_click_in_the_legend_hides_its_class_and_hovering_shows_names_as_text(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    hostile = "<img src=x onerror=console.error(1)>{}"
    page.write_text(page_of(points(10, names=hostile)).replace("</body>", CLICK_AND_HOVER))
    seen = visit(page, tmp_path / "browser")
    assert seen.requests == []
    (said,) = seen.console
    assert f"{hostile.format(5)}its neighbors vote: {hostile.format(6)}row" in said
    plot = seen.picture[:760]
    assert [has(plot, color) for color in COLORS] == [number != 4 for number in range(10)]


@needs_chromium
def test_the_browser_notices_a_request_and_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<img src="https://example.org/x.png"><script>throw new Error("boo")</script>')
    seen = visit(page, tmp_path / "browser")
    assert seen.requests == ["https://example.org/x.png"]
    assert "boo" in "".join(seen.console)


def test_ten_thousand_photographs_with_long_names_and_paths_make_a_page_of_less_than_ten_megabytes() -> None:
    count, random = 10_000, np.random.default_rng(0)
    names = [f"n02085936_a_breed_of_dogs_with_a_long_name_{number}" for number in range(100)]
    folder = "/mnt/projects/group/data/imagenet_subset_2024/train"
    labels = pd.Series(random.integers(0, 100, count), dtype="Int64")
    sources = [f"{folder}/{names[label]}/ILSVRC2012_val_{row:08d}.JPEG" for row, label in enumerate(labels)]
    x, y = random.normal(size=(2, count))
    table = pd.DataFrame({"row": range(count), "x": x, "y": y, "label": labels, "source": sources})
    many = Points("backbone", ["Title"], [], shuffled(table.assign(prediction=labels), 0), names)
    pages = with_images({layer: interactive(many, (32, 32)) for layer in LAYERS}, tiles(count, 32))
    assert all(5_000_000 < len(page.encode()) < MOST_BYTES for page in pages.values())
    assert pages["backbone"].count(folder) == 1
    assert pages["backbone"].count(f'{names[7]}"') < 5, "a name is held once, not with each point"


def test_images_too_many_for_a_lossless_sprite_are_compressed_more() -> None:
    some = tiles(100, 16)
    lossless = sprite(some, 1_000_000)
    assert lossless.startswith("data:image/png;base64,")
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(lossless.partition(",")[2]))))
    np.testing.assert_array_equal(picture[32:48, 16:32], some[2 * sprite_columns(100) + 1])
    lossy = sprite(some, 30_000)
    assert lossy.startswith("data:image/webp;base64,")
    assert len(lossy) <= 30_000


def test_each_point_knows_its_own_image_and_what_its_neighbors_vote() -> None:
    some = points(3)
    page = page_of(some)
    content = json.loads(re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)[0])
    (source,) = [entity for entity in _entities(content) if entity.get("name") == "ColumnDataSource"]
    columns = {key: _values(values) for key, values in source["attributes"]["data"]["entries"]}
    table = some.table
    line, column = -columns["top"] // 96, -columns["left"] // 96
    np.testing.assert_array_equal(line * sprite_columns(400) + column, columns["row"])
    np.testing.assert_array_equal(columns["row"], table["row"])
    wrong = (table["label"] != table["prediction"]).to_numpy(dtype=bool)
    assert 0 < wrong.sum() < 400
    np.testing.assert_array_equal(columns["wrong"], wrong)
    assert columns["source"][0] == f"{table['row'].iloc[0]}.png"
    assert "Paths begin with /photos/of/all/" in page


def _entities(content: Any) -> list[dict[str, Any]]:
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else []
    return [*([content] if isinstance(content, dict) else []), *(found for one in inner for found in _entities(one))]


def _values(values: Any) -> Any:
    """Decode what bokeh writes: a list, or bytes in base64."""
    if values["type"] == "ndarray" and isinstance(values["array"], dict):
        return np.frombuffer(gzip.decompress(base64.b64decode(values["array"]["data"])), dtype=values["dtype"])
    return values["array"] if values["type"] == "ndarray" else values
