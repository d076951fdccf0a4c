from __future__ import annotations

import pytest

from tests.unit.settings.test_plan import planned


@pytest.mark.parametrize("block", [{}, {"page": {"pictures": False}}])
def test_every_step_that_writes_a_page_is_told_whether_it_holds_pictures(block: dict[str, dict[str, bool]]) -> None:
    plan = planned({}, **block)
    shown = {plan.summary.pictures, plan.umap("digits").pictures, plan.explore("digits").pictures}
    assert shown == {not block}
