"""What all blocks share: a block does not change, an empty one has its defaults, and paths may begin with a tilde."""

import pytest
from pydantic import ValidationError

from simclr_steps.settings.base import did_you_mean
from simclr_steps.settings.datasets import Dataset
from simclr_steps.settings.reading import check
from simclr_steps.settings.umap import UmapSettings
from tests.unit.settings.mistakes import assert_refused


def test_tilde_in_a_path_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    block = check(Dataset, {"source": "folder", "path": "~/photos", "image_size": 8})
    assert block.path == "/home/me/photos"


def test_block_without_content_has_its_defaults() -> None:
    assert check(UmapSettings, None) == UmapSettings()


@pytest.mark.parametrize(
    ("word", "known", "advice"),
    [
        ("temprature", ["epochs", "temperature"], 'did you mean "temperature"?'),
        ("x", ["one", "another"], "available: another, one"),
        ("x", [], "available: none"),
    ],
)
def test_the_nearest_word_is_offered_or_all_are(word: str, known: list[str], advice: str) -> None:
    assert did_you_mean(word, known) == advice


def test_a_block_cannot_change_once_it_is_read() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        UmapSettings().n_neighbors = 3  # type: ignore[misc]


def test_numbers_are_not_made_of_text() -> None:
    assert_refused(UmapSettings, {"n_neighbors": "5"}, 'n_neighbors: "5" is wrong')
