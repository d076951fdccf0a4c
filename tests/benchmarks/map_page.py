"""How long the map page takes to its first picture, and to each frame of panning and zooming, in headless Chromium.

    python -m tests.benchmarks.map_page

The page is opened anew in each round. A first picture is there when the frame that has it is over, counted from the
page's opening; a frame is from one to the next, with a pointer or a wheel that moves in between.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

from simclr_steps.figures.map_page import map_page
from tests.unit.browser import CHROMIUM
from tests.unit.figures.sample_points import colored, points

COUNTS = (1_000, 200_000)
ROUNDS, FRAMES = 3, 30
_LONGEST = 120  # s, of a page
_MEASURE = """<script>(async () => {
  const frame = () => new Promise(requestAnimationFrame);
  while (!performance.getEntriesByName("drawn").length) await frame();
  const first = await frame();
  const {canvas} = plots[0], box = canvas.getBoundingClientRect();
  const at = k => ({clientX: box.left + box.width / 2 + 3 * k, clientY: box.top + box.height / 2, bubbles: true});
  const pointer = (type, k) => canvas.dispatchEvent(new PointerEvent(type, {...at(k), pointerId: 1, buttons: 1}));
  const wheel = () => canvas.dispatchEvent(new WheelEvent("wheel", {...at(0), deltaY: -50, cancelable: true}));
  const frames = async move => {
    const spent = [];
    for (let k = 1, before = await frame(); k <= FRAMES; k++) {
      move(k);
      const now = await frame();
      spent.push(now - before);
      before = now;
    }
    return spent;
  };
  pointer("pointerdown", 0);
  const pan = await frames(k => pointer("pointermove", k));
  pointer("pointerup", FRAMES);
  const zoom = await frames(wheel);
  console.log(`measured ${first} ${pan.concat(zoom).join(" ")} end`);
})();</script></body>"""


def main() -> None:
    """Print a line for each figure."""
    for count in COUNTS:
        some = colored(points(10, count=count), "side", "height")
        layers = [some, replace(some, layer="projection_head")]
        page = map_page(["Map"], layers, [some.by_class(), *some.columns], (32, 32), images=None)
        firsts, pans, zooms = [], [], []
        for _ in range(ROUNDS):
            first, *frames = _milliseconds(page.replace("</body>", _MEASURE.replace("FRAMES", str(FRAMES))))
            firsts.append(first)
            pans += frames[:FRAMES]
            zooms += frames[FRAMES:]
        print(f"{count:,} points, ms to the first picture: {_spread(firsts)}")
        print(f"{count:,} points, ms of a frame while panning: {_spread(pans)}; zooming: {_spread(zooms)}", flush=True)


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


def _milliseconds(page: str) -> list[float]:
    """Return what the page says that it measured: its clock is the real one, unlike that of `visit`."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name, "map.html")
        place.write_text(page)
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        options += ["--enable-logging=stderr", "--window-size=1280,1000", f"--user-data-dir={name}/profile"]
        browser = subprocess.Popen([str(CHROMIUM), *options, place.as_uri()], stderr=subprocess.PIPE, text=True)
        assert browser.stderr is not None
        deadline = threading.Timer(_LONGEST, browser.kill)
        deadline.start()
        try:
            (said,) = next(
                (found for line in browser.stderr if (found := re.findall(r"measured (.*) end", line))), [""]
            )
        finally:
            deadline.cancel()
            browser.terminate()
            browser.wait()
    if not said:
        sys.exit(f"error: the page measured nothing within {_LONGEST} s")
    return [float(word) for word in said.split()]


if __name__ == "__main__":
    main()
