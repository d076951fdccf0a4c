"""The whole config."""

from __future__ import annotations

from typing import Any

import pytest

from simclr_steps.settings.config import Config
from simclr_steps.settings.reading import check
from simclr_steps.settings.umap import UmapSettings
from tests.unit.settings.mistakes import assert_refused

LEAST: dict[str, Any] = {
    "datasets": {"digits": {"source": "digits"}},
    "pretrains": {"simclr": {}},
    "experiments": [{"dataset": "digits", "pretrain": "simclr"}],
}


def test_data_a_pretraining_and_an_experiment_are_enough() -> None:
    config = check(Config, LEAST)
    assert config.umap == UmapSettings() and config.finetunes == {}
    (experiment,) = config.experiments
    assert (experiment.finetunes, experiment.seeds, experiment.grid) == ([], [0], {})


@pytest.mark.parametrize(
    ("blocks", "sentence"),
    [
        ({"pretrain": {}}, 'unknown key "pretrain"; did you mean "pretrains"?'),
        ({"pretrains": {}}, "pretrains: {} is wrong: it must contain at least 1"),
        ({"experiments": []}, "experiments: [] is wrong: it must contain at least 1"),
        ({"datasets": {"my/photos": {"source": "digits"}}}, 'the name "my/photos" must contain only letters, digits'),
        (
            {"datasets": {"summary.csv": {"source": "digits"}}},
            '"summary.csv" is wrong: it must not be summary or begin',
        ),
        ({"datasets": {"Summary": {"source": "digits"}}}, '"Summary" is wrong: it must not be summary or begin'),
        ({"pretrains": {"..": {}}}, 'the name ".." must contain only letters, digits'),
        ({"pretrains": {101 * "x": {}}}, 'the name "xxxxxxxxxxxxxxxxxxxx…" has 101 characters (limit: 100)'),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(blocks: dict[str, Any], sentence: str) -> None:
    assert_refused(Config, LEAST | blocks, sentence)
