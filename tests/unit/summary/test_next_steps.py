"""What the page says to do next can be done as it stands."""

from __future__ import annotations

import ast
import shlex
from pathlib import Path

from simclr_steps.cli.parser import parser
from simclr_steps.summary.next_steps import next_steps
from simclr_steps.summary.reading import read_run
from tests.unit.summary.written_results import settings, write_finetune, write_run


def test_the_commands_are_ones_that_exist_with_the_runs_own_paths(tmp_path: Path) -> None:
    results = tmp_path / "my results'"
    write_finetune(write_run(results, 0), "tuned", "pretrained", 0.85)
    run = read_run(settings(0, finetunes=("tuned",)).runs[0], results)
    *commands, python = [step.code for step in next_steps([run], results, Path("resources"))]
    words = [shlex.split(command) for command in commands]
    assert [word[:2] for word in words] == [["simclr", step] for step in ("classify", "embed", "search", "export")]
    for one in words:
        parser().parse_args(one[1:])
    assert words[0][3] == f"{results}/digits/simclr/seed0/finetune/tuned/model.safetensors"
    nodes = list(ast.walk(ast.parse(python)))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    known = {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    known |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
    assert {name.id for name in names} == known, "each name is imported or assigned"
    assert repr(f"{results}/digits/simclr/seed0/encoder/encoder.safetensors") in python


def test_without_a_classifier_there_is_nothing_to_classify_with(tmp_path: Path) -> None:
    write_run(tmp_path, 0)
    told = next_steps([read_run(settings(0).runs[0], tmp_path)], tmp_path, Path("resources"))
    assert not any("simclr classify" in step.code or "load_classifier" in step.code for step in told)
