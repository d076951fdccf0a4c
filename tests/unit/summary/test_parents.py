"""The accuracy per image of tiles stands beside that per tile, over all draws."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from simclr_steps.steps.summarize import summarize
from simclr_steps.summary.intervals import interval
from tests.unit.conftest import WritePacked
from tests.unit.summary.written_results import settings, write_finetune, write_run


def test_it_stands_beside_the_accuracy_per_tile_in_all_summaries(tmp_path: Path, write_packed: WritePacked) -> None:
    folder = write_run(tmp_path / "results", 0)
    write_finetune(folder, "tuned", "pretrained", 0.6)
    path = folder / "finetune" / "tuned" / "metrics.json"
    metrics = json.loads(path.read_text())
    [first] = metrics["draws"]
    first["test"]["parents"] = {"images": 30, "accuracy": 0.1, "balanced_accuracy": 0.4, "effective_images": 12}
    second = {**first, "draw": 1, "test": {**first["test"], "accuracy": 0.8}}
    second["test"]["parents"] = {**first["test"]["parents"], "accuracy": 0.3}
    path.write_text(json.dumps({**metrics, "draws": [first, second]}))
    resources = write_packed(name="digits").parent
    of_runs = settings(0, finetunes=("tuned",))
    summarize(of_runs, results=tmp_path / "results", resources=resources, out=tmp_path / "out")
    rows = pd.read_csv(tmp_path / "out/summary.csv")
    row, of_second = rows[rows["metric"] == "parent_accuracy"].to_dict("records")
    assert (row["value"], row["images"], row["split"], row["input"]) == (0.1, 30, "test", "tuned")
    assert (row["low"], row["high"]) == interval(0.1, 30)
    assert (of_second["value"], of_second["draw"]) == (0.3, 1)
    for row in rows[rows["metric"] == "balanced_parent_accuracy"].to_dict("records"):
        assert (row["value"], row["images"], (row["low"], row["high"])) == (0.4, 12, interval(0.4, 12))
    low, high = (100 * limit for limit in interval(0.2, 30))
    sentence = f"Fine-tuned tuned, accuracy on the test split in %: 20.0 ± 14.1 [{low:.1f}, {high:.1f}] (2) per image"
    low, high = (100 * limit for limit in interval(0.4, 12))
    sentence += f" (balanced: 40.0 ± 0.0 [{low:.1f}, {high:.1f}] (2)), by"
    low, high = (100 * limit for limit in interval(0.7, 50))
    tiles = f"the tiles of each of 30 images, and 70.0 ± 14.1 [{low:.1f}, {high:.1f}] (2) per tile."
    for page in ("summary.md", "summary.html"):
        assert sentence in (tmp_path / "out" / page).read_text()
        assert tiles in (tmp_path / "out" / page).read_text()
    page = (tmp_path / "out/summary.html").read_text()
    assert '<th scope="col">accuracy per image</th><th scope="col">balanced accuracy per image</th>' in page
