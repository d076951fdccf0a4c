"""Images are found below a folder, in an order that does not depend on how it is named."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest
from PIL import Image

from simclr_steps.data.image_files import find_images


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 6)).save(path)


def test_images_are_sorted_by_folder_and_named_relative_to_the_one_that_holds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a/2.png", "a b/1.png", "a.png", "a/1.png", "a-/z/1.png", "a/1/1.png", "a.b/1.png", "Ä/1.png", "1.png"]
    for name in names:
        save(tmp_path / name)
    expected = [name.as_posix() for name in sorted(map(PurePath, names))]
    assert find_images(tmp_path) == expected
    monkeypatch.chdir(tmp_path)
    assert find_images(Path()) == expected
