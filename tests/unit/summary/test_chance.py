from __future__ import annotations

from simclr_steps.data.packed import read_description
from simclr_steps.summary.chance import chance
from tests.unit.conftest import WritePacked


def test_chance_is_the_share_of_the_most_frequent_class(write_packed: WritePacked) -> None:
    data = read_description(write_packed(name="digits"))
    test = data.splits["test"]
    assert chance(data, "test") == max(test.per_class) / test.labeled
    empty = test.model_copy(update={"labeled": 0, "per_class": [0] * len(test.per_class)})
    assert chance(data.model_copy(update={"splits": {"test": empty}}), "test") is None
    assert chance(data, "unknown") is None
