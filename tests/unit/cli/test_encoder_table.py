"""The commands that put an encoder to use are in the table of all; test_table.py checks their options."""

from __future__ import annotations

from simclr_steps.cli.encoder_table import OF_ENCODERS
from simclr_steps.cli.parser import parse
from simclr_steps.cli.table import STEPS


def test_they_are_in_the_table() -> None:
    assert all(STEPS[step.name] is step for step in OF_ENCODERS)


def test_an_encoder_is_exported_as_onnx_unless_asked_otherwise() -> None:
    words = ["export", "--encoder", "e", "--out", "o"]
    assert parse(words).kind == "onnx"
    assert parse([*words, "--format", "timm"]).kind == "timm"
