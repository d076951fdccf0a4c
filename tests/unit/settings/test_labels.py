"""A budget of labels is a share, a number, a number of each class, or a number of groups."""

from __future__ import annotations

import pytest

from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.settings.labels import LabelBudget, PerClass, WholeGroups
from simclr_steps.settings.reading import check
from tests.unit.settings.mistakes import assert_refused


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"labels": 1.5}, "labels: 1.5 is wrong: it must be a fraction above 0 and up to 1.0"),
        ({"labels": "many"}, 'labels: "many" is wrong: it must be a fraction above 0 and up to 1.0'),
        ({"labels": True}, "labels: true is wrong: it must be a fraction above 0 and up to 1.0"),
        ({"labels": {"per_class": 0}}, "labels.per_class: 0 is wrong: it must be greater than 0"),
        ({"labels": {"per_clas": 3}}, 'labels: unknown key "per_clas"; did you mean "per_class"?'),
        ({"labels": {"groups": 0}}, "labels.groups: 0 is wrong: it must be greater than 0"),
        ({"labels": {"group": 3}}, 'labels: unknown key "group"; did you mean "groups"?'),
        ({"labels": 0}, "labels: 0 is wrong: it must be a fraction above 0"),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(content: dict[str, object], sentence: str) -> None:
    assert_refused(FinetuneSettings, content, sentence)


def test_one_label_is_not_all_labels() -> None:
    contents = (1, 1.0, {"per_class": 4}, {"groups": 3})
    one, all_, each, whole = (check(LabelBudget, content) for content in contents)
    assert whole == WholeGroups(groups=3) and str(whole) == "{groups: 3}"
    assert type(one) is int and type(all_) is float and each == PerClass(per_class=4)
