"""The page says what SimCLR is compared with, and by how much it is better."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from simclr_steps.data.correct import Correct, write_correct
from simclr_steps.settings.runs import Run
from simclr_steps.summary.collected import COLUMNS
from simclr_steps.summary.compared import compared, differences, paired, uncompared
from simclr_steps.summary.headline import group
from simclr_steps.summary.notes import as_sentences, grave
from simclr_steps.summary.paired import difference
from simclr_steps.summary.reading import read_run
from simclr_steps.summary.run_results import RunResults
from tests.unit.summary.written_results import compared as compared_with
from tests.unit.summary.written_results import settings, write_finetune, write_run


def test_a_data_set_without_an_encoder_off_the_shelf_is_named() -> None:
    rows = [("a", "simclr"), ("a", "published"), ("b", "simclr"), ("b", "pixels"), ("unlabeled", None)]
    (sentence,) = as_sentences(uncompared(pd.DataFrame(rows, columns=["dataset", "series"])))
    assert sentence.startswith("b: no encoder off the shelf was compared, so")


def results(labels: int = 20, **right: list[int]) -> RunResults:
    """Return a run of which each input is right about the images with a 1, with this number of labels."""
    run = RunResults(Run(dataset="digits", pretrain="simclr", seed=0, finetunes=[]))
    for name, bits in right.items():
        run.correct[name] = Correct({(str(labels), 0): np.array(bits, dtype=bool)}, None)
    return run


def test_simclr_is_told_beside_the_best_of_what_comes_for_free() -> None:
    (one,) = differences([results(simclr=[1] * 90 + [0] * 10, pixels=[1] * 70 + [0] * 30, random=[0] * 100)], {})
    assert re.fullmatch(
        r"with 20 labels 90.0 %, raw pixels 70.0 %: 20.0 points better \(1[23].0 to 2[78].0\)", str(one)
    ), str(one)


def test_given_weights_are_told_by_themselves_where_they_are_not_the_best_and_training_changed_them() -> None:
    better, start, best = [1] * 90 + [0] * 10, [1] * 70 + [0] * 30, [1] * 95 + [0] * 5
    notes = as_sentences(compared([results(simclr=better, start=start, shelf=best)], []))
    beside = (
        "SimCLR features beside those before training: with 20 labels 90.0 %, features before training 70.0 %: 20.0"
    )
    assert [beside in note for note in notes] == [False, True] and "shelf 95.0 %" in notes[0]
    warnings = grave(compared([results(simclr=start, start=better, shelf=best)], []))
    assert any("beside those before training" in warning and "points worse" in warning for warning in warnings)
    for run in (results(simclr=better, start=start), results(simclr=start, start=start, shelf=best)):
        (note,) = as_sentences(compared([run], []))
        assert "beside the best that comes for free" in note, "they are the best, or epoch 0 was chosen"


def test_a_number_of_labels_above_a_thousand_is_written_as_elsewhere() -> None:
    (one,) = differences([results(1290, simclr=[1] * 100, pixels=[0] * 100)], {})
    assert str(one).startswith("with 1,290 labels 100.0 %, raw pixels 0.0 %: 100.0 points better")


def test_what_is_worse_or_not_clear_warns_and_comes_first() -> None:
    free = [1] * 70 + [0] * 30
    good = results(simclr=[1] * 90 + [0] * 10, pixels=free)
    bad, even = results(simclr=[1] * 50 + [0] * 50, pixels=free), results(simclr=free[::-1], pixels=free)
    for run, name in ((bad, "bad"), (even, "even")):
        run.run = run.run.model_copy(update={"pretrain": name})
    notes = list(compared([good, bad, even], []))
    beside = "SimCLR features beside the best that comes for free: with 20 labels "
    worse, unclear, better = as_sentences(notes)
    assert worse == f"digits/bad: {beside}50.0 %, raw pixels 70.0 %: 20.0 points worse (12.0 to 28.0)."
    assert unclear.startswith(f"digits/even: {beside}70.0 %, raw pixels 70.0 %: no clear difference, +0.0 points (-1")
    assert better.startswith(f"digits/simclr: {beside}90.0 %") and grave(notes) == [worse, unclear]


def test_a_network_that_reads_images_at_another_size_is_named_beside_the_comparison() -> None:
    run = results(simclr=[1] * 50 + [0] * 50, small=[1] * 70 + [0] * 30, pixels=[0] * 100)
    run.read_at = {"simclr": (64, 64), "small": (64, 64)}
    (sentence,) = as_sentences(compared([run], []))
    assert sentence.endswith("points worse (12.0 to 28.0).")
    run.read_at["small"] = (224, 192)
    (sentence,) = as_sentences(compared([run], []))
    assert sentence.endswith("(12.0 to 28.0). small reads images at 224 × 192 pixels, SimCLR at 64 × 64.")


def test_all_that_are_equally_good_are_named_with_the_interval_that_leaves_most_doubt() -> None:
    ours, free = [1] * 90 + [0] * 10, [1] * 70 + [0] * 30
    (alone,) = differences([results(simclr=ours, random=free[::-1])], {})
    (one,) = differences([results(simclr=ours, pixels=free, random=free[::-1], worse=[0] * 100)], {})
    beside = "with 20 labels 90.0 %, raw pixels 70.0 % and random features 70.0 %: 20.0 points better ("
    assert str(one).startswith(beside) and one.interval == alone.interval


def test_a_difference_that_rounds_to_none_has_no_minus() -> None:
    (one,) = differences([results(simclr=[1] * 5000 + [0, 1, 0], pixels=[1] * 5000 + [0, 1, 1])], {})
    assert "no clear difference, +0.0 points (-0.1 to +0.0)" in str(one)


def test_balanced_accuracies_stand_beside_the_accuracies_where_the_page_has_them(tmp_path: Path) -> None:
    write_run(tmp_path, 0)
    [run] = [read_run(one, tmp_path) for one in settings(0).runs]
    run.correct = results(simclr=[1] * 90 + [0] * 10, pixels=[1] * 70 + [0] * 30).correct
    run.correct = {name: Correct({("10", 0): one.right["20", 0]}, None) for name, one in run.correct.items()}
    [one] = group(pd.DataFrame(run.rows, columns=[*COLUMNS, "series", "by_group"]))
    balanced = one.accuracy.assign(mean=one.accuracy["mean"] / 2)
    [sentence] = as_sentences(compared([run], [replace(one, balanced=balanced)]))
    assert "with 10 labels 90.0 % (balanced 40.5 %), raw pixels 70.0 % (balanced 30.5 %): 20.0 points bet" in sentence
    assert "balanced" not in as_sentences(compared([run], [one]))[0]


def test_too_few_images_or_groups_are_said_to_be_too_few_and_no_image_is_no_difference(tmp_path: Path) -> None:
    beside = "SimCLR features beside the best that comes for free: with 20 labels 100.0 %, raw pixels 0.0 %: "
    write_run(tmp_path, 0)
    for groups, units in ((None, "images"), (np.zeros(1, dtype=np.int64), "groups")):
        run = results(simclr=[1], pixels=[0])
        run.correct = {name: Correct(one.right, groups) for name, one in run.correct.items()}
        notes = list(compared([run], []))
        [sentence] = as_sentences(notes)
        assert sentence == f"digits/simclr: {beside}+100.0 points, too few {units} to tell." and grave(notes) == [
            sentence
        ]
        [read] = [read_run(one, tmp_path) for one in settings(0).runs]
        for name, right in (("simclr", True), ("pixels", False)):
            read.correct[name] = Correct({("10", 0): np.array([right])}, groups)
        [one] = group(pd.DataFrame(read.rows, columns=[*COLUMNS, "series", "by_group"]))
        assert paired(one, [read])[1] == ["10", f"+100.0 (too few {units} to tell)"]
    assert differences([results(simclr=[], pixels=[])], {}) == []


def test_seeds_and_draws_are_means_over_the_same_images() -> None:
    first, second = (results(simclr=bits, pixels=[0, 0, 0, 1]) for bits in ([1, 1, 0, 0], [1, 0, 0, 0]))
    (one,) = differences([first, second], {})
    assert (one.ours.accuracy, one.best["raw pixels"].accuracy, one.mean) == (0.375, 0.25, 0.125)
    assert differences([results(pixels=[1, 0])], {}) == []


def test_every_other_input_and_training_from_scratch_are_subtracted_on_the_draws_that_both_share(
    tmp_path: Path,
) -> None:
    generator, groups = np.random.default_rng(0), np.repeat(np.arange(10), 5)

    def written(folder: Path, chance: float, *keys: tuple[str, int]) -> Correct:
        correct = Correct({key: generator.random(50) < chance for key in keys}, groups)
        write_correct(folder / "correct.npz", correct)
        return correct

    found: dict[str, list[Correct]] = {}
    for seed in (0, 1):
        folder = write_run(tmp_path, seed)
        of_compared = [folder.parents[1] / "compare" / name for name in compared_with(seed)]
        for name, place in zip(("simclr", "random", "pixels"), (folder / "evaluate", *of_compared), strict=True):
            found.setdefault(name, []).append(written(place, 0.6, ("10", 0), ("10", 1), ("100", 0)))
        inits = {"tuned": "pretrained", "scratch": "random", "slow": "random", "given": "published"}
        for name, init in inits.items():
            write_finetune(folder, name, init, 0.8)
            keys = [("10", draw) for draw in range(1 + (name == "tuned"))]
            found.setdefault(name, []).append(written(folder / "finetune" / name, 0.7, *keys))

    def cell(one: str, other: str, *keys: tuple[str, int]) -> str:
        both = zip(found[one], found[other], strict=True)
        values = [mine.right[key] * 1.0 - its.right[key] for mine, its in both for key in keys]
        mean, interval = difference(np.mean(values, axis=0), groups)
        assert interval is not None
        return f"{100 * mean:+.1f} [{100 * interval[0]:+.1f}, {100 * interval[1]:+.1f}]"

    of_ten = ("10", 0), ("10", 1)
    expected = [
        ["labels", "SimCLR minus random features", "SimCLR minus raw pixels"],
        ["10", cell("simclr", "random", *of_ten), cell("simclr", "pixels", *of_ten)],
        ["100", cell("simclr", "random", ("100", 0)), cell("simclr", "pixels", ("100", 0))],
    ]
    others = {name: f"from scratch ({name})" for name in ("scratch", "slow")} | {"given": "published, fine-tuned"}
    for name, written_as in others.items():
        column = [f"fine-tuned minus {written_as}", cell("tuned", name, of_ten[0]), ""]
        expected = [[*row, more] for row, more in zip(expected, column, strict=True)]
    runs = [read_run(run, tmp_path) for run in settings(0, 1, finetunes=("tuned", "scratch", "slow", "given")).runs]
    for run in runs:
        run.correct = dict(reversed(run.correct.items()))  # whose order is not that of the headline
    [one] = group(pd.DataFrame([row for run in runs for row in run.rows], columns=[*COLUMNS, "series", "by_group"]))
    assert paired(one, runs) == expected
    for run in runs:
        run.correct.clear()
        run.tuned.clear()
    assert paired(one, runs) == []
