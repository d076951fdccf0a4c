"""What a step reads is told from what it replaces, by any name."""

from __future__ import annotations

from pathlib import Path

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.replaced import check_not_read


def test_an_input_that_would_be_replaced_is_named_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "m.safetensors").touch()
    (tmp_path / "link").symlink_to("model")
    with pytest.raises(UserError, match=r"^--out: link is read as well, and would be replaced: give another name$"):
        check_not_read(Path("link"), None, tmp_path / "model")
    inside = r"^--out: model would be replaced, and with it link/m\.safetensors, which is read: write elsewhere$"
    with pytest.raises(UserError, match=inside):
        check_not_read(Path("model"), Path("link/m.safetensors"))
    check_not_read(Path("model/other"), None, tmp_path / "model", tmp_path / "modelled")
