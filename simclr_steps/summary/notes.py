"""Notes on the results: equal ones once, with the runs that they hold for, and the one that matters most first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby

_NAMED = 4  # pretrainings in a sentence


class Weight(IntEnum):
    """What a note does to the trust in the results, the worst first."""

    LEAKED = 0  # the images that are judged are not new, or their labels are wrong
    TOO_FEW = 1  # groups, to tell anything from
    FAILED = 2  # the training is worth nothing, or the comparison is lost
    COMPARED = 3  # SimCLR is better than what comes for free, by so much
    DOUBTFUL = 4
    UNMEASURED = 5


@dataclass(frozen=True)
class Note:
    """A sentence on the results, and what it holds for."""

    weight: Weight
    text: str  # goes on after "digits/simclr: "
    dataset: str = ""  # none where it holds for all
    pretrain: str = ""  # none where it holds for the data set
    seeds: tuple[int, ...] = ()  # none where it holds for all


def as_sentences(notes: Iterable[Note]) -> list[str]:
    """Return each text once, after the names of what it holds for: "seeds 0 to 4 of digits/simclr: …"."""
    alike: dict[str, list[Note]] = {}
    for note in sorted(notes, key=lambda note: note.weight):
        alike.setdefault(note.text, []).append(note)
    return [f"{_holders(of_one)}{text}" for text, of_one in alike.items()]


def grave(notes: Iterable[Note]) -> list[str]:
    """Return the sentences that warn about the results."""
    return as_sentences(note for note in notes if note.weight <= Weight.FAILED)


def others(notes: Iterable[Note]) -> list[str]:
    """Return those that may stand below the results."""
    return as_sentences(note for note in notes if note.weight > Weight.FAILED)


def _holders(notes: Sequence[Note]) -> str:
    """Return what notes of one text hold for, with a colon; nothing where that is everything."""
    seeds: dict[str, set[int]] = {}
    for note in notes:
        seeds.setdefault("/".join(filter(None, (note.dataset, note.pretrain))), set()).update(note.seeds)
    names = [f"{_named(sorted(of_one))}{name}" for name, of_one in seeds.items() if name]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}: " if names else ""


def _named(seeds: Sequence[int]) -> str:
    """Return "seeds 0 to 2, 5 of " for some seeds, sorted, and nothing for none."""
    parts = []
    for _, part in groupby(enumerate(seeds), lambda pair: pair[1] - pair[0]):  # each a row of consecutive numbers
        run = [seed for _, seed in part]
        parts.append(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)))
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(parts)} of " if seeds else ""
