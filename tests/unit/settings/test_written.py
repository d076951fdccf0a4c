"""Lines of YAML are read as what they were written from, and comments stay comments."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from simclr_steps.settings.written import block, blocks, comments, line, listed, named

ODD = "odd: # 'x'\n\"y\"\x07\x85\ud800"


@pytest.mark.parametrize("value", ["on", "2024", "a # b", "ü", "a\nb: c", " ", "", "- x", "~", "{x}", "\x07'\""])
def test_text_is_read_as_it_was(value: str) -> None:
    written = line(value, value, "a comment")
    assert "\n" not in written and yaml.safe_load(written) == {value: value}


@pytest.mark.parametrize("value", [1, 0.2, [1, 2], ["on", "a: b"], {"size": 256}, None, True])
def test_other_values_stand_in_one_line(value: Any) -> None:
    assert "\n" not in line("key", value) and yaml.safe_load(line("key", value)) == {"key": value}


def test_a_name_in_a_comment_is_short_and_printable() -> None:
    assert named("ant") == "ant"
    assert named("x" * 50) == "x" * 40 + "…"
    assert yaml.safe_load(f"a: 1 # {named(ODD)}") == {"a": 1}


def test_of_many_names_the_first_are_listed() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(number) for number in range(1010)], 3) == "0, 1, 2 and 1,007 more"


def test_long_comments_are_wrapped_and_empty_ones_part_paragraphs() -> None:
    lines = comments(["one", "", "word " * 40])
    assert lines[:2] == ["# one", "#"] and all(len(text) <= 120 for text in lines)
    assert lines[2].startswith("# word") and lines[3].startswith("#   word")


def test_blocks_are_read_as_mappings() -> None:
    text = "\n".join(blocks({"datasets": block("on", [line("a", 1), "# b: 2"]), "umap": [line("split", "train")]}))
    assert yaml.safe_load(text) == {"datasets": {"on": {"a": 1}}, "umap": {"split": "train"}}
