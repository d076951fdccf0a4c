"""Networks and weights that timm does not know are told before anything runs, and timm is asked no more than needed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.files import write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.settings import asked_of_timm
from simclr_steps.settings.asked_of_timm import check_timm_names
from simclr_steps.settings.config import read_config
from simclr_steps.settings.plan import plan


def ask(folder: Path, compare: list[Any], finetunes: Sequence[str] = (), **block: Any) -> None:
    content = {"datasets": {"d": {"source": "digits"}}, "pretrains": {"p": block}, "compare": compare}
    blocks = {"finetunes": {name: {"init": name} for name in finetunes}}
    experiment = {"dataset": "d", "pretrain": "p", "finetunes": [*finetunes]}
    asked = plan(read_config({**content, **blocks, "experiments": [experiment]}))
    check_timm_names(asked, lambda path: str(folder / path))


def test_networks_and_tags_are_asked_about_by_their_keys_until_finished_steps_used_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"  # which answers with what it is asked
    python.write_text('#!/bin/sh\necho "$3"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    ask(tmp_path, ["torchvision:resnet18", "a.pth"])
    compare = ["timm:resnet18.a1_in1k", "a.pth", {"encoder": "timm:resnet34", "weights": "b.pth"}]
    with pytest.raises(UserError) as asked:
        ask(tmp_path, compare, encoder="timm:test_vit")
    names = [["pretrains.p.encoder", "timm:test_vit", False]]
    names += [["compare.0", "timm:resnet18.a1_in1k", True], ["compare.2", "timm:resnet34", False]]
    assert json.loads(str(asked.value)) == names
    with pytest.raises(UserError) as asked:
        ask(tmp_path, [], ["random", "published"], encoder="timm:resnet18.a1_in1k")
    names = [["pretrains.p.encoder", "timm:resnet18.a1_in1k", False]]
    names += [["finetunes.published.init", "timm:resnet18.a1_in1k", True]]
    assert json.loads(str(asked.value)) == names
    write_json(tmp_path / "resources/weights/timm=resnet18.a1_in1k.json", {})
    write_json(tmp_path / "results/d/p/seed0/pretrain/run.json", {"settings": {"encoder": "timm:test_vit"}})
    ask(tmp_path, compare[:2], encoder="timm:test_vit")


def test_a_timm_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 20\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(asked_of_timm, "_LONGEST_WAIT", 0.2)
    started = time.monotonic()
    ask(tmp_path, [], encoder="timm:test_vit")
    assert time.monotonic() - started < 10
    (said,) = caplog.messages
    assert said.startswith("warning: going on without asking timm for the networks that the config names, as importing")
