from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.steps.summarize import summarize
from simclr_steps.summary.explored import in_words, of_near_duplicates
from simclr_steps.summary.notes import as_sentences
from simclr_steps.summary.reading import read_run
from simclr_steps.summary.run_results import RunResults
from tests.unit.conftest import WritePacked
from tests.unit.summary.written_results import put, settings, write_run


def facts(note: str | None = None, /, **across: int) -> dict[str, Any]:
    duplicates = {"pairs": 1200, "pairs_across": 3, "images": 90, "images_across": across}
    images = {"train": 1000, "unlabeled": 0, "test": 234}
    labels = {"judged": 1000, "doubtful": 0}
    return {"images": images, "duplicates": duplicates, "clusters": {"count": 1}, "labels": labels, "note": note}


def of_run(**across: int) -> RunResults:
    return RunResults(settings(0).runs[0], explored=facts(**across))


def test_what_was_found_is_one_sentence() -> None:
    said = "1,234 images in 1 cluster; 1,200 pairs of near-duplicates, 3 of them across splits."
    assert in_words(facts()) == said
    assert in_words(facts("Not explored.")) == "Not explored."
    some = {**facts(), "labels": {"judged": 1000, "doubtful": 12}}
    assert in_words(some) == f"{said} 12 of 1,000 labels look wrong."


def test_judged_images_with_a_near_duplicate_elsewhere_are_a_caution() -> None:
    said = as_sentences(of_near_duplicates([of_run(train=2, validation=1, test=12), of_run(train=2)]))
    assert said == [
        "seed 0 of digits/simclr: images of another split have nearly the same features as 1 image of the hold-out "
        "split and 12 images of the test split: if they show the same thing, results on them are too good, so look at "
        "explore/explore.html."
    ]
    assert not list(of_near_duplicates([of_run(), RunResults(settings(0).runs[0])]))


def test_what_an_older_version_left_is_named_with_the_way_out(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    put(folder / "explore" / "explore.json", {key: value for key, value in facts().items() if key != "labels"})
    with pytest.raises(UserError, match=r"seed0 contains results from a different version \(KeyError\('labels'\)\)"):
        read_run(settings(0).runs[0], tmp_path, explored=True)


@pytest.mark.parametrize("asked", [True, False])
def test_the_page_tells_it_and_leads_to_the_pictures_where_it_is_asked_for(
    asked: bool, write_packed: WritePacked, tmp_path: Path
) -> None:
    resources = write_packed(name="digits").parent
    folder = write_run(tmp_path, 0)
    put(folder / "explore" / "explore.json", facts(test=12))
    block = settings(0).model_copy(update={"explored": asked})
    assert (read_run(block.runs[0], tmp_path, explored=asked).explored is not None) == asked
    summarize(block, results=tmp_path, resources=resources, out=tmp_path / "out")
    page = (tmp_path / "out/summary.html").read_text()
    link = 'href="../digits/simclr/seed0/explore/explore.html"'
    for text in ("What is in the images", "1,200 pairs of near-duplicates", "12 images of the test split", link):
        assert (text in page) == asked, text
