"""Fine-tuning and training from scratch are searched on one grid, and judged on the hold-out only."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.pretrain import PretrainSettings
from tests.benchmarks.baselines import SMALL_NETWORK, STARTS, STUDIES, combinations, print_table, search
from tests.benchmarks.data import REPOSITORY, pack


@pytest.mark.parametrize("name", STUDIES)
def test_both_starts_get_the_same_grid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMCLR_TEST_DATA", "anywhere")
    given: dict[str, list[object]] = {start: [] for start in STARTS}
    for chosen, draw in combinations(STUDIES[name]()):
        if chosen["layer_decay"] == 1:
            given[chosen.pop("init")].append((chosen, draw))
    assert given["pretrained"] == given["random"] and len(given["random"]) > 20


def test_an_edit_of_the_study_leaves_its_stored_encoders_valid() -> None:
    module, _, function = SMALL_NETWORK.partition(":")
    file = REPOSITORY.joinpath(*module.split(".")).with_suffix(".py")
    defined = [node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)]
    assert defined == [function]


@pytest.mark.slow
def test_a_search_reads_no_test_split_and_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    packed = pack({"source": "digits", "subset": 60}, tmp_path)
    for file in packed.glob("test.*"):
        file.unlink()
    encoder = Encoder(resolve(PretrainSettings(encoder=SMALL_NETWORK), ImageFormat.of_8_bits((8, 8), 1)))
    study = replace(
        STUDIES["digits"](),
        labels=(20,),
        draws=1,
        grid={"weight_decay": (1e-4,), "epochs": (1, 2), "layer_decay": (1.0, 0.5), "learning_rate": (1e-3,)},
    )
    results = tmp_path / "accuracies.csv"
    search(study, packed, encoder, results)
    lines = results.read_text().splitlines()
    assert (
        len(lines) == 1 + 2 + 2 * 2
    )  # a header, scratch with two numbers of epochs, SimCLR with two layer decays, too
    results.write_text("\n".join(lines[:3]) + "\n")
    search(study, packed, encoder, results)
    assert results.read_text().splitlines() == lines


def test_the_table_shows_the_best_mean_of_each_start_and_number_of_epochs(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        (50, "random", 1e-4, 30, 1.0, rate, draw, 30, 0.5 + rate + draw / 10) for rate in (0.1, 0.2) for draw in (0, 1)
    ]
    names = ["label_count", "init", "weight_decay", "epochs", "layer_decay", "learning_rate", "draw", "trained_epochs"]
    print_table("digits", pd.DataFrame(rows, columns=[*names, "accuracy"]))
    header, _, line = capsys.readouterr().out.splitlines()
    assert line == "| digits | 50 | scratch | 30 | 0.2 | 0.0001 | 1 | 75.0 | 2 |"
    assert header in (REPOSITORY / "docs/benchmarks.md").read_text()
