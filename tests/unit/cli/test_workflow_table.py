"""The commands for the whole workflow are in the table of all; test_table.py checks their options."""

from __future__ import annotations

from simclr_steps.cli.table import STEPS
from simclr_steps.cli.workflow_table import OF_WORKFLOW


def test_they_are_in_the_table_after_the_steps_and_have_no_log() -> None:
    assert list(STEPS.values())[-len(OF_WORKFLOW) :] == list(OF_WORKFLOW)
    assert not any(step.logs for step in OF_WORKFLOW)
