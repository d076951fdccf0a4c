"""The page says what SimCLR is compared with, and by how much it is better."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from simclr_steps.data.correct import Correct
from simclr_steps.settings.plan import Run
from simclr_steps.summary.compared import compared, differences, uncompared
from simclr_steps.summary.notes import as_sentences, grave
from simclr_steps.summary.run_results import RunResults


def test_a_data_set_without_an_encoder_off_the_shelf_is_named() -> None:
    rows = [("a", "simclr"), ("a", "published"), ("b", "simclr"), ("b", "pixels"), ("unlabeled", None)]
    (sentence,) = as_sentences(uncompared(pd.DataFrame(rows, columns=["dataset", "series"])))
    assert sentence.startswith("b: no published encoder was compared, so")


def results(**right: list[int]) -> RunResults:
    """Return a run of which each input is right about the images with a 1, with 20 labels."""
    run = RunResults(Run(dataset="digits", pretrain="simclr", seed=0, finetunes=[]))
    for name, bits in right.items():
        run.correct[name] = Correct({("20", 0): np.array(bits, dtype=bool)}, None)
    return run


def test_simclr_is_told_beside_the_best_of_what_comes_for_free() -> None:
    (one,) = differences([results(simclr=[1] * 90 + [0] * 10, pixels=[1] * 70 + [0] * 30, random=[0] * 100)])
    assert re.fullmatch(
        r"with 20 labels 90.0 %, raw pixels 70.0 %: 20.0 points better \(1[23].0 to 2[78].0\)", str(one)
    ), str(one)


def test_what_is_worse_or_not_clear_warns_and_comes_first() -> None:
    free = [1] * 70 + [0] * 30
    good = results(simclr=[1] * 90 + [0] * 10, pixels=free)
    bad, even = results(simclr=[1] * 50 + [0] * 50, pixels=free), results(simclr=free[::-1], pixels=free)
    for run, name in ((bad, "bad"), (even, "even")):
        run.run = run.run.model_copy(update={"pretrain": name})
    notes = list(compared([good, bad, even]))
    beside = "SimCLR features beside the best that comes for free: with 20 labels "
    worse, unclear, better = as_sentences(notes)
    assert worse == f"digits/bad: {beside}50.0 %, raw pixels 70.0 %: 20.0 points worse (12.0 to 28.0)."
    assert unclear.startswith(f"digits/even: {beside}70.0 %, raw pixels 70.0 %: no clear difference, +0.0 points (-1")
    assert better.startswith(f"digits/simclr: {beside}90.0 %") and grave(notes) == [worse, unclear]


def test_seeds_and_draws_are_means_over_the_same_images() -> None:
    first, second = (results(simclr=bits, pixels=[0, 0, 0, 1]) for bits in ([1, 1, 0, 0], [1, 0, 0, 0]))
    (one,) = differences([first, second])
    assert (one.accuracy, one.of_other, one.mean) == (0.375, 0.25, 0.125)
    assert differences([results(pixels=[1, 0])]) == []
