"""Networks and weights that timm does not know are told before anything runs, and timm is asked no more than needed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.files import write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.asked_of_timm import check_timm_names
from simclr_steps.settings.config import read_config
from simclr_steps.settings.plan import plan


def ask(folder: Path, compare: list[Any], **block: Any) -> None:
    content = {"datasets": {"d": {"source": "digits"}}, "pretrains": {"p": block}, "compare": compare}
    asked = plan(read_config({**content, "experiments": [{"dataset": "d", "pretrain": "p"}]}))
    check_timm_names(asked, lambda path: str(folder / path))


def test_a_network_of_timm_that_is_misspelled_is_told_by_another_process(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='^compare.1: timm .* has no network "resnet81"; did you mean "timm:resnet'):
        wrong = {"encoder": "timm:resnet81", "weights": "a.pth"}
        ask(tmp_path, ["timm:test_vit.r160_in1k", wrong], encoder="timm:test_vit")


def test_nothing_is_asked_where_no_name_is_timms_or_finished_steps_used_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    ask(tmp_path, ["torchvision:resnet18", "a.pth"])
    with pytest.raises(FileNotFoundError):
        ask(tmp_path, ["timm:resnet18.a1_in1k"], encoder="timm:test_vit")
    write_json(tmp_path / "resources/weights/timm=resnet18.a1_in1k.json", {})
    write_json(tmp_path / "results/d/p/seed0/pretrain/run.json", {"settings": {"encoder": "timm:test_vit"}})
    ask(tmp_path, ["timm:resnet18.a1_in1k"], encoder="timm:test_vit")
