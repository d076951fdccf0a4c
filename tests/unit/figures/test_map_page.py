"""The map is one page that needs no network: both layers, colors by choice, lasso, search, export, images of points."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from simclr_steps.figures.map_page import IN_A_SHEET, MOST_BYTES, SHEETS, map_page
from simclr_steps.figures.plots import COLORS
from simclr_steps.figures.points import Coloring, Points, shuffled
from simclr_steps.figures.thumbnails import sheet_file
from tests.unit.browser import needs_chromium, visit
from tests.unit.figures.sample_points import colored, points, tiles

HOSTILE = "</script><img src=x onerror=console.error(1)> {{ 1 }} '\"&{}"


def page_of(some: Points, *, title: str = "Map of digits", images: npt.NDArray[np.uint8] | None = None) -> str:
    other = replace(some, layer="projection_head", table=some.table.assign(x=-some.table["x"]))
    cluster = Coloring("cluster", ["1", "2"], (some.table["x"] > 0).astype(int).tolist())
    votes = some.table["prediction"].fillna(-1).astype(int).tolist()
    first = [some.by_class(), Coloring("prediction", some.classes, votes, "no vote")] if some.labeled else []
    shown = tiles(len(some.table)) if images is None else images
    return map_page([title, "a line"], [some, other], [*first, cluster, *some.columns], (4, 4), images=shown)


def facts_of(page: str) -> Any:
    return json.loads(re.findall(r'id="facts">(.*?)</script>', page)[0])


def test_hostile_names_stay_text() -> None:
    some = colored(points(2, names=HOSTILE), HOSTILE, "age")
    some.table["source"] += HOSTILE
    page = page_of(some, title=HOSTILE)
    assert page.count("<script") == page.count("</script>") == 3 and "<img" not in page
    assert facts_of(page)["colorings"][0]["names"] == [HOSTILE.format(0), HOSTILE.format(1)]


def test_the_page_is_the_same_each_time_and_has_a_heading() -> None:
    page = page_of(points(3))
    assert page == page_of(points(3)) and "<h1>Map of digits</h1>" in page


def test_each_point_knows_its_image_its_classes_and_its_path() -> None:
    some = points(3)
    page = page_of(some)
    content = gzip.decompress(base64.b64decode(re.findall(r'id="values">(.*?)</script>', page)[0]))
    values = np.frombuffer(content[: 4 * 400 * 9], dtype="<i4").reshape(9, 400)
    np.testing.assert_array_equal(values[:2].view("<f4"), some.table[["x", "y"]].to_numpy(np.float32).T)
    np.testing.assert_array_equal(values[4], some.table["row"])
    np.testing.assert_array_equal(values[5], some.table.index)
    np.testing.assert_array_equal(values[6], some.labels())
    np.testing.assert_array_equal(values[7], some.table["prediction"])
    ends = content[4 * 400 * 9 :].decode().split("\0")
    assert [facts_of(page)["folder"] + end for end in ends] == some.table["source"].tolist()


def test_ten_thousand_photographs_with_long_names_and_paths_make_a_page_of_less_than_ten_megabytes() -> None:
    count, random = 10_000, np.random.default_rng(0)
    names = [f"n02085936_a_breed_of_dogs_with_a_long_name_{number}" for number in range(100)]
    labels = pd.Series(random.integers(0, 100, count), dtype="Int64")
    sources = [f"/mnt/data/imagenet/{names[label]}/ILSVRC2012_val_{row:08d}.JPEG" for row, label in enumerate(labels)]
    x, y = random.normal(size=(2, count))
    table = pd.DataFrame({"row": range(count), "x": x, "y": y, "label": labels, "source": sources})
    many = Points("backbone", ["Title"], [], shuffled(table.assign(prediction=labels), 0), names)
    page = page_of(many, images=tiles(count, 32))
    assert 5_000_000 < len(page.encode()) < MOST_BYTES
    assert page.count(f'"{names[7]}"') == 4, "a name is held with each coloring, not with each point"


# The browser's clock is virtual, and jumps over a wait while another thread unpacks the points: a wait computes, too.
DRAWN = """
const later = time => new Promise(done => setTimeout(done, time));
const compute = () => { let sum = 0; for (let i = 0; i < 3e7; i++) sum += i % 7; return sum; };
const drawn = async () => { while (!performance.getEntriesByName("drawn").length && compute()) await later(10); };
"""
USE = """(async () => {
  await drawn();
  const [plot] = plots, box = plot.canvas.getBoundingClientRect(), said = {};
  const at = i => position(plot, i).map((side, axis) => side / plot.ratio + (axis ? box.top : box.left));
  const send = (type, [clientX, clientY], more) => plot.canvas.dispatchEvent(
    new PointerEvent(type, {clientX, clientY, pointerId: 1, bubbles: true, pointerType: "mouse", ...more}));
  send("pointermove", at(7));
  said.hovered = tip.textContent;
  send("pointermove", [box.left + 1, box.top + 1]);
  said.away = tip.hidden;
  for (const type of ["pointerdown", "pointerup"]) send(type, at(8), {pointerType: "touch", buttons: 1});
  said.tapped = tip.textContent;
  const middle = x => [box.left + x * box.width, box.top + 0.5 * box.height];
  const corners = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]].map(([x, y]) =>
    [box.left + x * box.width, box.top + y * box.height]);
  send("pointerdown", corners[0], {shiftKey: true, buttons: 1});
  for (const corner of corners) send("pointermove", corner, {buttons: 1});
  send("pointerup", corners[3]);
  said.lasso = [...selected];
  said.left = Array.from(selected, (_, i) => at(i)[0] < box.left + 0.5 * box.width ? 1 : 0);
  said.count = find("#count").textContent;
  find("#clear").click();
  find("#search").value = "/39.PNG";
  find("#search").dispatchEvent(new Event("input"));
  said.csv = csv();
  find("#clear").click();
  const before = {...plot.view};
  send("pointerdown", middle(0.5), {buttons: 1});
  send("pointermove", middle(0.6), {buttons: 1});
  send("pointerup", middle(0.6));
  said.moved = (before.x - plot.view.x) * plot.view.scale / plot.ratio / box.width;
  const fixed = at(7), zoomed = plot.view.scale;
  const [clientX, clientY] = fixed;
  plot.canvas.dispatchEvent(new WheelEvent("wheel", {clientX, clientY, deltaY: -300, cancelable: true}));
  said.zoomed = plot.view.scale / zoomed;
  said.shift = Math.hypot(at(7)[0] - fixed[0], at(7)[1] - fixed[1]);
  find("[data-zoom='0']").click();
  by.value = "CHOSEN";
  by.dispatchEvent(new Event("change"));
  legend.querySelector("input").click();
  said.legend = Array.from(legend.children, child => child.textContent);
  said.wider = document.documentElement.scrollWidth - innerWidth;
  said.back = !find("#back").hidden;
  await later(100);
  console.log(JSON.stringify(said));
})();"""


def with_script(page: str, script: str) -> str:
    return page.replace("</body>", f"<script>{DRAWN}{script}</script></body>")


def used(page: str, folder: Path, width: int, chosen: int) -> tuple[dict[str, Any], npt.NDArray[np.uint8]]:
    """Return what a visitor who does what `USE` does comes to see."""
    place = folder / "digits/simclr/seed0/umap/map.html"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(with_script(page, USE.replace("CHOSEN", str(chosen))))
    seen = visit(place, folder / "browser", width)
    assert seen.requests == []
    (line,) = seen.console
    said: dict[str, Any] = json.loads(re.findall(r'CONSOLE:\d+\] "(.*)", source:', line)[0])
    return said, seen.picture


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_a_visitor_sees_selects_and_exports_images_without_network_or_error(width: int, tmp_path: Path) -> None:
    some = colored(points(10, names=HOSTILE), HOSTILE, "age")
    said, picture = used(page_of(some), tmp_path, width, chosen=2)
    rows = some.table
    for key, number in (("hovered", 7), ("tapped", 8)):
        row = rows.iloc[number]
        assert f"row {row['row']}{row['source']}" in said[key], key
        assert (
            f"class: {HOSTILE.format(row['label'])}its neighbors vote: {HOSTILE.format(row['prediction'])}" in said[key]
        )
    assert said["away"] and said["lasso"] == said["left"] and 0 < sum(said["left"]) < 400
    assert said["count"] == f"{sum(said['left'])} of 400 selected"
    exported = pd.read_csv(io.StringIO(said["csv"]))
    assert exported["path"].tolist() == ["/photos/of/all/39.png"]
    assert list(exported)[:5] == ["row", "path", "class", "prediction", "cluster"]
    assert exported["class"].tolist() == [HOSTILE.format(9)]
    assert said["moved"] == pytest.approx(0.1, abs=0.01) and said["zoomed"] > 1.3 and said["shift"] < 1
    assert said["legend"] == ["●\ufe0e1", "●\ufe0e2"] and said["back"]
    assert said["wider"] <= 0, "nothing is wider than the screen"
    assert not has(picture, COLORS[0]) and has(picture, COLORS[1]), "one cluster of two was switched off"


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("classes", [0, 100])
def test_every_color_is_drawn_and_a_page_elsewhere_has_no_link_back(classes: int, tmp_path: Path) -> None:
    page = tmp_path / "map.html"
    hidden = "drawn().then(() => console.log(find('#back').hidden))"
    page.write_text(with_script(page_of(points(classes)), hidden))
    seen = visit(page, tmp_path / "browser")
    assert seen.requests == [] and ["true" in line for line in seen.console] == [True]
    plots = seen.picture[240:860]
    for color in {group.color for group in points(classes).groups()} if classes else set(COLORS[:2]):
        assert has(plots, color), color


def has(picture: npt.NDArray[np.uint8], color: str) -> bool:
    shade = 255 * np.array(to_rgb(color))
    return bool((np.abs(picture - (0.85 * shade + 0.15 * 255)).max(axis=2) < 8).sum() > 30)


@pytest.mark.slow
@needs_chromium
def test_two_hundred_thousand_points_are_drawn_and_images_come_from_files_beside_the_page(tmp_path: Path) -> None:
    count = 200_000
    some = points(10, count=count)
    page = map_page(["Map"], [some, replace(some, layer="projection_head")], [some.by_class()], (4, 4), images=None)
    (tmp_path / SHEETS).mkdir()
    place = int(some.table.index[7])
    colors = np.zeros((IN_A_SHEET, 4, 4, 3), dtype=np.uint8)
    colors[place % IN_A_SHEET] = (255, 0, 255)
    (tmp_path / SHEETS / f"{place // IN_A_SHEET:04}.webp").write_bytes(sheet_file(colors))
    measure = """(async () => {
      await drawn();
      const box = plots[0].canvas.getBoundingClientRect(), [x, y] = position(plots[0], 7);
      selected = new Uint8Array(facts.count);
      selected[7] = 1;
      point(plots[0], {clientX: box.left + x / plots[0].ratio, clientY: box.top + y / plots[0].ratio}, 10);
    })();"""
    (tmp_path / "map.html").write_text(with_script(page, measure))
    assert len(page) < MOST_BYTES
    seen = visit(tmp_path / "map.html", tmp_path / "browser")
    assert (seen.requests, seen.console) == ([], [])
    assert (np.abs(seen.picture.astype(int) - (255, 0, 255)).max(axis=2) < 30).sum() > 2000
