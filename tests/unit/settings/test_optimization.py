"""What all trainings share."""

from __future__ import annotations

from typing import Any

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import Settings
from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.reading import check
from tests.unit.settings.mistakes import assert_refused


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (PretrainSettings, {"step_epochs": [5, 100, 90], "epochs": 100}),
        (FinetuneSettings, {"step_epochs": [100], "epochs": 20, "labels": 10}),
    ],
)
def test_learning_rate_that_would_fall_after_the_training_is_a_mistake(
    kind: type[Settings], content: dict[str, Any]
) -> None:
    sentence = "is wrong: it must be greater than 100, the last of step_epochs, or nothing falls there"
    assert_refused(kind, {"schedule": "step", **content}, sentence)
    check(kind, {"schedule": "step", **content, "epochs": 101})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"warmup_epochs": 1, "warmup_steps": 5}, "warmup_steps: 5 is wrong: it must be omitted if warmup_epochs"),
        ({"schedule": "step"}, 'schedule: "step" is wrong: it must be step if, and only if, step_epochs are given'),
        ({"step_epochs": [3]}, '"cosine" is wrong: it must be step if, and only if, step_epochs are given'),
        ({"schedule": "step", "step_epochs": [0]}, "step_epochs.0: 0 is wrong: it must be greater than 0"),
        ({"optimizer": "larz"}, 'optimizer: "larz" is not known; did you mean "lars"?'),
    ],
)
def test_settings_that_contradict_each_other_are_mistakes(content: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(FinetuneSettings, content)
