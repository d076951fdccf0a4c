"""summary.md: a page that reads well as it is in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from simclr_steps.summary.answer import Answer
from simclr_steps.summary.batch_effects import MEANING, BatchEffect, as_table
from simclr_steps.summary.compared import PAIRED
from simclr_steps.summary.headline import APART, BALANCED, Headline
from simclr_steps.summary.leaderboard import FLATTERED, Leaderboard
from simclr_steps.summary.notes import Note, grave, others
from simclr_steps.summary.tables import SPLIT_NAMES, Table


def as_markdown(
    whose: Sequence[str],
    answers: Sequence[Answer],
    headlines: Sequence[Headline],
    differences: Mapping[str, Table],
    effects: Sequence[BatchEffect],
    notes: Sequence[Note],
    boards: Sequence[Leaderboard] = (),
) -> str:
    """Return a page that reads well as it is in a terminal.

    `whose` are sentences on what it is a summary of, `answers` what each headline comes to, and `differences` the
    paired ones by the headline's title; `boards` are the leaderboards of grids.
    """
    parts = [f"{_as_text(sentence)}\n" for sentence in whose]
    if sentences := grave(notes):
        parts.append("\n".join(f"- {_as_text(sentence)}" for sentence in sentences) + "\n")
    for board in boards:
        parts.append(f"## Leaderboard of {board.title}\n\nBy {board.judged}, {board.spread}. {FLATTERED}\n")
        parts.append(_aligned([[_as_text(cell).replace("|", "\\|") for cell in row] for row in board.cells()]))
        parts.append(f"{board.advice}\n")
        if not board.is_run:
            parts.append(f"```yaml\n{board.winner}```\n")
    for answer in answers:
        if len(answers) > 1:
            parts.append(f"{_as_text(answer.title)}:\n")
        parts.append("\n".join(f"- {_as_text(sentence)}" for sentence in answer.sentences) + "\n")
    for one in headlines:
        parts.append(f"## {one.title}\n")
        if len(one.accuracy):
            parts.append(f"Accuracy on the {SPLIT_NAMES[one.split]} split{one.judged} in %, {one.spread}\n")
            parts.append(_aligned(one.cells()))
            if one.title in differences:
                parts.append(f"{PAIRED}\n")
                parts.append(_aligned(differences[one.title]))
            if len(one.apart):
                parts.append(f"{APART}\n")
                parts.append(_aligned(one.apart_cells()))
            if len(one.balanced):
                parts.append(f"{BALANCED}\n")
                parts.append(_aligned(one.balanced_cells()))
        measures = filter(None, [*one.measures, *one.parents, one.penalty, one.cost])
        parts.append("\n".join(f"- {sentence}" for sentence in measures) + "\n")
    meanings = dict.fromkeys(line for one in headlines for line in one.meanings())
    if meanings:
        parts.append("What the columns mean\n")
        parts.append("\n".join(f"- {line}" for line in meanings) + "\n")
    if effects:
        parts.append(f"## Metadata\n\n{MEANING}\n")
        parts.append(_aligned([[_as_text(cell).replace("|", "\\|") for cell in row] for row in as_table(effects)]))
    if sentences := others(notes):
        parts.append("## Notes\n")
        parts.append("\n".join(f"- {_as_text(sentence)}" for sentence in sentences) + "\n")
    return "# Summary\n\n" + "\n".join(parts)


def _as_text(written: str) -> str:
    """Return a note or a cell as one line, whatever the names in it hold, of which nothing is markup."""
    line = " ".join(written.split())
    return escape("".join(letter if letter.isprintable() else "�" for letter in line), quote=False)


def _aligned(table: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = [
        "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in table
    ]
    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"
