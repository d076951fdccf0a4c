"""Settings that are longer than one argument of a command may be reach their step all the same."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simclr_steps.files import canonical_json
from simclr_steps.settings.adopted import results
from simclr_steps.settings.config import read_config
from simclr_steps.settings.plan import plan
from tests.workflow.conftest import ROOT, Project

RULES = ROOT / "workflow/rules"


def commands(folder: Path, *, dry_run: bool = False) -> dict[str, Any]:
    """Return what commands.smk defines for a workflow that runs in a folder."""
    workflow = {
        **dict.fromkeys(("IN_CONTAINER", "IN_CONDA", "IS_SCHEDULED"), False),
        "PACKAGE": ROOT / "simclr_steps",
        "undeclared": lambda path: str(folder / path),
        "is_dry_run": lambda: dry_run,
    }
    return runpy.run_path(str(RULES / "commands.smk"), workflow)


def test_long_settings_become_the_name_of_a_file_that_holds_them(tmp_path: Path) -> None:
    longest = commands(tmp_path)["LONGEST"]
    for settings in ("{}", "a 'quoted' text", "x" * longest):
        assert shlex.split(commands(tmp_path)["as_argument"](settings)) == [settings]
    for settings in ("x" * (longest + 1), "é" * (longest // 2 + 1)):
        asked = commands(tmp_path, dry_run=True)["as_argument"](settings)
        assert not Path(asked).exists()
        given = commands(tmp_path)["given"](lambda wildcards, settings=settings: settings)
        assert given({}, []) == asked and Path(asked).read_text(encoding="utf-8") == settings
    assert len(list((tmp_path / "work/settings").iterdir())) == 2


def test_settings_that_grow_with_runs_or_classes_are_given_so() -> None:
    """What a command holds as text would end in "Argument list too long", in the summary after all trainings."""
    as_text: set[str] = set()
    for block in re.split(r"^rule ", "\n".join(file.read_text() for file in RULES.glob("*.smk")), flags=re.MULTILINE):
        params = re.findall(r"--settings \{params\.(\w+)", block)
        as_text |= {block.partition(":")[0] for param in params if f" {param}=given(" not in block}
    classes = [f"a class with a long name, {number}" for number in range(6000)]
    config = {
        "datasets": {"mine": {"source": "arrays", "path": "mine.npz", "classes": classes}},
        "pretrains": {"simclr": {}},
        "finetunes": {"few": {"labels": 10}},
        "metadata": ["plate"],
        "experiments": [{"dataset": "mine", "pretrain": "simclr", "finetunes": ["few"], "seeds": list(range(600))}],
    }
    lengths: dict[str, int] = defaultdict(int)
    for result in results(plan(read_config(config))):
        lengths[result.rule] = max(lengths[result.rule], len(canonical_json(result.settings)))
    longest = commands(Path())["LONGEST"]
    assert {"pretrain", "evaluate", "metadata", "umap"} <= as_text <= set(lengths)
    assert {rule: lengths[rule] for rule in as_text if lengths[rule] > longest // 10} == {}
    assert lengths["summary"] > longest


@pytest.mark.slow
def test_thousands_of_class_names(fresh: Project) -> None:
    names = [f"a class with a long name, {number}" for number in range(6000)]
    assert len(json.dumps(names)) > 131_072  # what Linux allows for one argument
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), dtype=np.uint8)
    np.savez(fresh.folder / "mine.npz", train_images=images, train_labels=np.arange(60) % 10)
    fresh.config["datasets"]["digits"] = {"source": "arrays", "path": "mine.npz", "classes": names}
    fresh.write_config()

    assert fresh.dry_run("prepare_all", "--cores", "2").returncode == 0
    assert not (fresh.folder / "work").exists()

    done = fresh.forked_snakemake("prepare_all", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    described = json.loads((fresh.folder / "resources/digits/dataset.json").read_text())
    assert described["classes"] == names
