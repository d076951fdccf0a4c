"""What users named is text in summary.md."""

from __future__ import annotations

from simclr_steps.summary.markdown import as_markdown
from simclr_steps.summary.notes import Note, Weight

NOTES = 'class "<b>a\r\nx</b>\x1b[31m" is rare', "second"


def test_names_in_notes_are_text_on_one_line() -> None:
    text = as_markdown([], [], [], {}, [], [Note(Weight.DOUBTFUL, text) for text in NOTES])
    assert text.endswith('- class "&lt;b&gt;a x&lt;/b&gt;�[31m" is rare\n- second\n')


def test_it_begins_with_whose_summary_it_is() -> None:
    assert as_markdown(["This is the summary of <my>.yaml."], [], [], {}, [], []) == (
        "# Summary\n\nThis is the summary of &lt;my&gt;.yaml.\n"
    )
