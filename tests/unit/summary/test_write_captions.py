from __future__ import annotations

from pathlib import Path

import docutils.core
import docutils.nodes

from simclr_steps.summary.write_captions import REPORT, captions, restructured

ROOT = Path(__file__).parents[3]


def test_report_says_what_the_captions_say() -> None:
    written = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / REPORT).glob("*.rst")}
    by_hand = "workflow.rst"  # of the report as a whole
    assert {name: text for name, text in written.items() if name != by_hand} == captions(), (
        "run python -m simclr_steps.summary.write_captions"
    )


def test_caption_shows_every_character_and_the_data_set() -> None:
    text = r"a_ *b* `c` |d| \e of {dataset}"
    source = restructured(text).replace("{{snakemake.wildcards.dataset}}", "digits")
    (paragraph,) = docutils.core.publish_doctree(source).children
    assert isinstance(paragraph, docutils.nodes.paragraph)
    assert paragraph.astext() == text.replace("{dataset}", "digits")
