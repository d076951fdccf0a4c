"""The interactive plot is one page that needs no network, and every point knows its own image."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from markupsafe import escape
from matplotlib.colors import to_rgb

from simclr_steps.figures.interactive import MOST_BYTES, interactive, with_images
from simclr_steps.figures.plots import COLORS, NO_LABEL_COLOR, RAMP
from simclr_steps.figures.points import Points, shuffled
from simclr_steps.figures.thumbnails import sprite_columns
from tests.unit.browser import needs_chromium, visit
from tests.unit.figures.sample_points import colored, points, tiles


def page_of(some: Points) -> str:
    return with_images({"one": interactive(some, (4, 4))}, tiles())["one"]


def test_a_hostile_class_name_stays_text() -> None:
    hostile = points(2, names="</script><script>alert({})</script>")
    assert "<script>alert(1)" not in page_of(hostile)


@pytest.mark.parametrize("name", ["url(IMAGES)", 'url("IMAGES")', "https://cdn.jsdelivr.net/{}"])
def test_a_class_name_that_looks_like_a_part_of_the_page_stays_text(name: str) -> None:
    page, plain = page_of(points(2, names=name)), page_of(points(2))
    assert page.count("data:image/png;base64,") == plain.count("data:image/png;base64,")
    assert page.count("jsdelivr") == 2 * 2 * ("jsdelivr" in name), "in the legend and in what the pointer shows"
    assert f"</i>{escape(name.format(1))}</label>" in page


def test_the_page_says_how_its_images_are_shown() -> None:
    page = interactive(points(2), (4, 4), ["Images show <DNA> in blue.", "Brightened."])
    assert "<p>Images show &lt;DNA&gt; in blue.</p><p>Brightened.</p>" in page


def test_no_id_in_the_page_is_random() -> None:
    uuid = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
    pages = [re.sub(r"\bp\d{4,}\b", "", page_of(points(3))) for _ in range(2)]  # models are counted in a process
    assert pages[0] == pages[1] and not re.search(uuid, pages[0])


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
@needs_chromium
def test_the_menu_colors_the_points_by_a_column_whose_name_and_values_stay_text(tmp_path: Path) -> None:
    hostile = "<img src=x onerror=console.error(1)> @row"
    some = colored(points(10), hostile, "age")
    page = tmp_path / "page.html"
    click = """document.querySelector("#legend input[value='4']").click();"""
    choose = """clearInterval(wait); const menu = document.querySelector("#by"); menu.value = "NUMBER";
      menu.dispatchEvent(new Event("change")); document.querySelector("BOX").click(); setTimeout(() => {"""
    look = CLICK_AND_HOVER.replace(click, "").replace("clearInterval(wait);", choose)
    look = look.replace("}, 50);", "}, 500); }, 50);")
    plots = {}
    for number, box in (("1", "#legend > :nth-child(2) input[value='0']"), ("2", "#legend > :last-child input")):
        script = look.replace("NUMBER", number).replace("BOX", box)
        page.write_text(page_of(some).replace("</body>", script))
        seen = visit(page, tmp_path / f"browser{number}")
        assert seen.requests == []
        (said,) = seen.console
        assert f"{hostile}: " in said and "age: " in said
        plots[number] = seen.picture[:760]
    assert [has(plots["1"], color) for color in (NO_LABEL_COLOR, *COLORS[:3])] == [True, False, True, False]
    assert [has(plots["2"], color) for color in RAMP] == [number != 0 for number in range(10)]


def test_points_without_labels_can_be_colored_by_a_column() -> None:
    page = page_of(colored(points(0), "plate", "age"))
    assert page.count("<option") == 3 and "left &lt;i&gt;@row</label>" in page


def test_ten_thousand_photographs_with_long_names_and_paths_make_a_page_of_less_than_ten_megabytes() -> None:
    count, random = 10_000, np.random.default_rng(0)
    names = [f"n02085936_a_breed_of_dogs_with_a_long_name_{number}" for number in range(100)]
    folder = "/mnt/projects/group/data/imagenet_subset_2024/train"
    labels = pd.Series(random.integers(0, 100, count), dtype="Int64")
    sources = [f"{folder}/{names[label]}/ILSVRC2012_val_{row:08d}.JPEG" for row, label in enumerate(labels)]
    x, y = random.normal(size=(2, count))
    table = pd.DataFrame({"row": range(count), "x": x, "y": y, "label": labels, "source": sources})
    many = Points("backbone", ["Title"], [], shuffled(table.assign(prediction=labels), 0), names)
    pages = with_images(
        {layer: interactive(many, (32, 32)) for layer in ("backbone", "projection_head")}, tiles(count, 32)
    )
    assert all(5_000_000 < len(page.encode()) < MOST_BYTES for page in pages.values())
    assert pages["backbone"].count(folder) == 1
    assert pages["backbone"].count(f'{names[7]}"') < 5, "a name is held once, not with each point"


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
    assert "All paths start with /photos/of/all/" in page


def _entities(content: Any) -> list[dict[str, Any]]:
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else []
    return [*([content] if isinstance(content, dict) else []), *(found for one in inner for found in _entities(one))]


def _values(values: Any) -> Any:
    """Decode what bokeh writes: a list, or bytes in base64."""
    if values["type"] == "ndarray" and isinstance(values["array"], dict):
        return np.frombuffer(gzip.decompress(base64.b64decode(values["array"]["data"])), dtype=values["dtype"])
    return values["array"] if values["type"] == "ndarray" else values
