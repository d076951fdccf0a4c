"""An image is told from all others by its place, wherever the project is moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simclr_steps.data.listing import Listing, places


def listing(names: list[str], **facts: Any) -> Listing:
    return Listing(
        classes=[], splits=np.full(len(names), "train"), labels=np.full(len(names), -1), names=names, **facts
    )


def test_places_are_below_the_working_directory_and_outside_it_from_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    assert places(f"{project}/photos", ["a/1.png", "./b//2.png", "../c.png"]) == [
        "photos/a/1.png",
        "photos/b/2.png",
        "c.png",
    ]
    assert places(f"{tmp_path}/other", ["a.png"]) == [f"{tmp_path}/other/a.png"]
    assert places(f"{project}s", ["a.png"]) == [f"{project}s/a.png"], "a name that begins alike is another folder"


def test_a_path_that_is_written_in_two_ways_is_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    of_folder, of_table = listing(["a.png"], base=f"{tmp_path}/photos"), listing(["photos/./a.png"], base=str(tmp_path))
    assert of_folder.keys == of_table.keys == ["photos/a.png"]


def test_images_that_are_no_files_have_their_names_as_keys() -> None:
    assert listing(["train/0", "test/0"]).keys == ["train/0", "test/0"]


def test_paths_of_a_column_are_absolute() -> None:
    images = listing(["a_dna.tif"], base="/data", files={"path.DNA": ["a_dna.tif"], "path.RNA": ["/scratch/a_rna.tif"]})
    assert (images.paths("path.DNA"), images.paths("path.RNA")) == (["/data/a_dna.tif"], ["/scratch/a_rna.tif"])
