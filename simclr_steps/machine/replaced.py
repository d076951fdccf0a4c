"""What a step reads is not what it replaces."""

from __future__ import annotations

from pathlib import Path

from simclr_steps.machine.errors import UserError


def check_not_read(out: Path, *inputs: Path | None) -> None:
    """Raise UserError when what is written to `out`, a file or a folder, would take the place of an input."""
    for file in filter(None, inputs):
        if file.resolve() == out.resolve():
            raise UserError(f"--out: {out} is read as well, and would be replaced: give another name")
        if file.resolve().is_relative_to(out.resolve()):
            raise UserError(f"--out: {out} would be replaced, and with it {file}, which is read: write elsewhere")
