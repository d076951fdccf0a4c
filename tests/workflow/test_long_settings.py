"""Settings that are longer than one argument of a command may be reach their step all the same."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.workflow.conftest import Project


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
