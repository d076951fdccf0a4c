"""A page in a real browser: what it asks of the network, what its console says, and how it looks."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: .ci/chromium.sh installs it")


@dataclass(frozen=True)
class Visit:
    """What came of opening a page."""

    requests: list[str]  # addresses, but for the page itself and what it holds
    console: list[str]  # lines
    picture: npt.NDArray[np.uint8]  # [height, width, 3]


def visit(page: Path, folder: Path, width: int = 1280, height: int = 1000, *, dark: bool = False) -> Visit:
    """Open a page from a file, with the network cut off and its use recorded, on a system that is light or dark."""
    folder.mkdir()
    picture, net_log = folder / "page.png", folder / "net.json"
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--virtual-time-budget=5000",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        f"--window-size={width},{height}",
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={net_log}",
        f"--screenshot={picture}",
    ]
    said = subprocess.run(
        [str(CHROMIUM), *options, page.resolve().as_uri()], capture_output=True, text=True, timeout=120, check=True
    ).stderr
    events = [event.get("params", {}) for event in json.loads(net_log.read_text())["events"]]
    # What the browser asks for on its own account comes from "not an origin".
    asked = [event["url"] for event in events if event.get("initiator", "not an origin") != "not an origin"]
    return Visit(
        requests=sorted({url for url in asked if re.match(r"(https?|wss?):", url)}),
        console=[line for line in said.splitlines() if ":CONSOLE" in line],
        picture=np.asarray(Image.open(picture).convert("RGB")),
    )
