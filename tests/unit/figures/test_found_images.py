"""The page of a search holds its pictures, and no name of a file becomes HTML."""

from __future__ import annotations

from simclr_steps.figures.found_images import Found, Search, found_page


def test_names_are_text_and_images_that_are_not_there_are_said_to_be_missing() -> None:
    found = [Found(1, 0.98765, "<b>.png", "data:image/png;base64,AA"), Found(2, 0.5, "b.png", None)]
    page = found_page([Search("q<script>.png", "data:image/png;base64,BB", found)], ["Red & green"])
    assert "q&lt;script&gt;.png" in page and "&lt;b&gt;.png" in page and "Red &amp; green" in page
    assert "<script" not in page and "<b>" not in page and "http" not in page
    assert page.count("<img") == 2 and page.count("no picture") == 1
    assert "1: cosine 0.988" in page
