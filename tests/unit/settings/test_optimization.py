"""What all trainings share."""

from __future__ import annotations

from typing import Any

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.settings.reading import check


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
