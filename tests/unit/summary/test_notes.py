"""Equal notes are said once, for all that they hold for, and the gravest comes first."""

from __future__ import annotations

from simclr_steps.summary.notes import Note, Weight, as_sentences, grave, others


def of_seeds(*seeds: int, pretrain: str = "simclr", text: str = "the loss is high.") -> list[Note]:
    return [Note(Weight.FAILED, text, "digits", pretrain, (seed,)) for seed in seeds]


def test_a_note_of_many_runs_is_one_that_names_them() -> None:
    assert as_sentences(of_seeds(4, 0, 1, 2, 3)) == ["seeds 0 to 4 of digits/simclr: the loss is high."]
    assert as_sentences(of_seeds(0, 1, 3, 5, 6, 7)) == ["seeds 0, 1, 3, 5 to 7 of digits/simclr: the loss is high."]
    mixed = [*of_seeds(0), *of_seeds(0, 1, pretrain="long"), *of_seeds(1)]
    assert as_sentences(mixed) == ["seeds 0, 1 of digits/simclr, seeds 0, 1 of digits/long: the loss is high."]
    assert as_sentences([*of_seeds(0), *of_seeds(1, text="the rank is low.")]) == [
        "seed 0 of digits/simclr: the loss is high.",
        "seed 1 of digits/simclr: the rank is low.",
    ]


def test_a_note_of_a_large_grid_counts_the_pretrainings_that_it_does_not_name() -> None:
    notes = [Note(Weight.DOUBTFUL, "raw pixels are at chance.", "digits", f"p{number}") for number in range(9)]
    assert as_sentences(notes) == ["digits/p0, digits/p1, digits/p2, digits/p3 and 5 more: raw pixels are at chance."]


def test_what_holds_for_a_data_set_or_for_everything_is_said_as_well() -> None:
    assert as_sentences([Note(Weight.LEAKED, "images leak.", "digits")] * 2) == ["digits: images leak."]
    assert as_sentences([Note(Weight.UNMEASURED, "Nothing was measured.")]) == ["Nothing was measured."]


def test_the_gravest_note_comes_first_and_those_of_one_weight_in_their_order() -> None:
    notes = [Note(weight, f"{weight.name} {number}") for weight in reversed(Weight) for number in range(2)]
    assert as_sentences(notes) == [f"{weight.name} {number}" for weight in Weight for number in range(2)]
    assert [*grave(notes), *others(notes)] == as_sentences(notes)
    assert grave(notes) == [f"{name} {number}" for name in ("LEAKED", "TOO_FEW", "FAILED") for number in range(2)]
    assert grave(notes[:2]) == [], "what could not be measured is no reason to doubt the rest"
