"""What failed stands first on the page, in summary.md and in the log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from simclr_steps.steps.summarize import summarize
from simclr_steps.summary.collected import COLUMNS
from simclr_steps.summary.headline import Headline, group
from simclr_steps.summary.notes import as_sentences
from simclr_steps.summary.reading import read_run
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.verdicts import verdicts
from tests.unit.conftest import WritePacked
from tests.unit.summary.written_results import settings, write_run

COLLAPSED = "collapsed: effective rank <2> of 512"


def sentences(headlines: Sequence[Headline], runs: Sequence[RunResults]) -> list[str]:
    return as_sentences(verdicts(headlines, runs))


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_failed_training_is_named_first_and_a_good_one_is_not(
    tmp_path: Path, write_packed: WritePacked, caplog: pytest.LogCaptureFixture
) -> None:
    resources = write_packed(name="digits").parent
    for seed in (0, 1):
        folder = write_run(tmp_path, seed)
        record = json.loads((folder / "pretrain" / "run.json").read_text())["run"]
        edit(folder / "pretrain" / "run.json", run=record | ({"verdict": COLLAPSED} if seed else {}))
    summarize(settings(0, 1), results=tmp_path, resources=resources, out=tmp_path)
    sentence = "seed 1 of digits/simclr: collapsed: effective rank <2> of 512."
    page, text = ((tmp_path / f"summary.{kind}").read_text() for kind in ("html", "md"))
    escaped = sentence.replace("<", "&lt;").replace(">", "&gt;")
    assert page.index("<h1>") < page.index(escaped) < page.index("<p>") and page.count(escaped) == 1
    assert text.startswith(f"# Summary\n\n- {escaped}\n\n- With 10 labels, ") and f"warning: {sentence}" in caplog.text
    for where in (page, text, caplog.text):
        assert "seed 0 of" not in where and "did not learn" not in where


def test_features_no_better_than_random_ones_for_any_number_of_labels_are_told(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    files = [folder / "evaluate" / "linear.json", *(tmp_path / "digits" / "compare").glob("*/linear.json")]
    told = []
    for better_with in (10, 100, None):
        for file in files:
            results = json.loads(file.read_text())["results"]
            for row in results:
                row["accuracy"] = 0.4 if row["input"] == "random" and row["labels"] == better_with else 0.5
            edit(file, results=results)
        rows = read_run(settings(0).runs[0], tmp_path).rows
        told.append(sentences(group(pd.DataFrame(rows, columns=[*COLUMNS, "series", "by_group"])), []))
    assert told[:2] == [[], []] and told[2] == [
        "digits/simclr: did not learn: random features are as good for any number of labels, such as 100: 50.0 % "
        "of the test split, where SimCLR features have 50.0 %."
    ]
    (one,) = group(pd.DataFrame(rows, columns=[*COLUMNS, "series", "by_group"]))
    better, worse = (one.accuracy["mean"] + sign * 0.1 * (one.accuracy["series"] == "simclr") for sign in (1, -1))
    assert sentences([replace(one, balanced=one.accuracy.assign(mean=better))], []) == []
    [sentence] = sentences([replace(one, balanced=one.accuracy.assign(mean=worse))], [])
    assert "100: a balanced accuracy of 50.0 % on the test split, where SimCLR features have 40.0 %" in sentence


def test_an_encoder_that_is_the_given_weights_is_told(tmp_path: Path) -> None:
    start = {"file": "initial.ckpt", "epoch": 0, "validate_loss": 5.0}
    file = write_run(tmp_path, 0) / "encoder" / "selection.json"
    edit(file, chosen="initial.ckpt", epoch=0, why="it is best", candidates=[start])
    assert sentences([], [read_run(settings(0).runs[0], tmp_path)]) == [
        "seed 0 of digits/simclr: the encoder is the one that training started from, as no checkpoint is better: "
        "initial.ckpt of epoch 0 was chosen: it is best."
    ]
