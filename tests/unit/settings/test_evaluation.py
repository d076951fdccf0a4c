"""The block `evaluation`."""

from __future__ import annotations

from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.settings.reading import check
from tests.unit.settings.mistakes import assert_refused


def test_each_wrong_budget_is_named_by_its_place() -> None:
    assert_refused(EvaluationSettings, {"labels": [0.1, -1]}, "labels.1: -1 is wrong: it must be a fraction above 0")


def test_probe_on_views_can_be_left_out_and_by_default_sees_mild_views() -> None:
    assert check(EvaluationSettings, {"augmentation": None}).augmentation is None
    mild = EvaluationSettings().augmentation
    assert mild and mild.crop_scale[0] == 0.8 and mild.jitter_probability == mild.horizontal_flip_probability == 0
