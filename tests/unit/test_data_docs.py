"""docs/data.md says what is so: its examples are valid, and it names each column and each format that is not read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from PIL import Image

from simclr_steps.data.file_kinds import converter_by_name
from simclr_steps.data.first_look import look_at_files
from simclr_steps.data.image_index import COLUMNS
from simclr_steps.settings.config import read_config
from simclr_steps.settings.plan import plan

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/data.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
RECIPES = sorted((ROOT / "config/recipes").glob("*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_valid_data_set_in_ten_lines(example: str) -> None:
    content = yaml.safe_load(example)
    [name] = content["datasets"]
    read_config({**content, "pretrains": {"simclr": {}}, "experiments": [{"dataset": name, "pretrain": "simclr"}]})
    assert len(example.splitlines()) <= 10


def test_the_table_of_one_file_per_channel_gives_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("0_1_N_G", "0_1_N_R", "0_2_N_G", "0_2_N_R", "0_3_N_G", "other"):
        (tmp_path / "cells").mkdir(exist_ok=True)
        Image.new("L", (16, 16)).save(tmp_path / f"cells/{name}.png")
    [code] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(code, "docs/data.md", "exec"), {})
    look = look_at_files(Path("cells.csv"))
    assert look.keys["channels"] == ["G", "R"] and look.listing.names == ["cells/0_1_N_G.png", "cells/0_2_N_G.png"]


def test_every_column_has_a_line() -> None:
    table = PAGE.partition("## A table")[2].partition("## Arrays")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(COLUMNS)


def test_every_format_that_is_not_read_is_named_with_its_converter() -> None:
    table = PAGE.partition("## What is not read")[2]
    named = re.findall(r"`(\.\w+)`", table.partition("convert them with")[2])
    assert [suffix for suffix in (".czi", ".nd2", ".lif", ".dcm", ".fits") if suffix not in named] == []
    assert [suffix for suffix in named if suffix != ".tif" and converter_by_name(f"x{suffix}") is None] == []


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_a_valid_config(recipe: Path) -> None:
    assert plan(read_config(yaml.safe_load(recipe.read_text(encoding="utf-8")))).runs
