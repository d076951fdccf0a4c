"""Files of weights are read, wherever their tensors are, and refused in one sentence."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from simclr_steps.machine.errors import UserError
from simclr_steps.networks.weight_files import read_weights
from tests.unit.networks.test_weights import as_old_zip_free, as_safetensors, as_torchvision


class Code:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("this code has run",)


def test_code_in_a_file_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "weights.pth"
    for content in ({"code": Code()}, {"state_dict": {}, "hyper_parameters": argparse.Namespace(rate=1)}):
        torch.save(content, path)
        with pytest.raises(UserError, match=r"weights.pth is damaged or holds more than tensors, such as code"):
            read_weights(path)
    assert "this code has run" not in capsys.readouterr().out


@pytest.mark.parametrize("write", [as_torchvision, as_old_zip_free, as_safetensors])
def test_a_truncated_file_is_told(tmp_path: Path, write: Callable[[Path, nn.Module], Path]) -> None:
    path = write(tmp_path, torchvision.models.resnet18(weights=None))
    content = path.read_bytes()
    for size in (5, 400, 100_000, len(content) - 100):
        path.write_bytes(content[:size])
        with pytest.raises(UserError, match=f"{path.name} is damaged"):
            read_weights(path)


def test_what_is_no_file_of_weights_is_told(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with pytest.raises(UserError, match="weights.pth does not exist"):
        read_weights(path)
    path.touch()
    with pytest.raises(UserError, match="weights.pth is empty: get the file again$"):
        read_weights(path)
    with pytest.raises(UserError, match=f"^{tmp_path} is a folder: give the path of the file of weights in it$"):
        read_weights(tmp_path)
    loop = tmp_path / "loop.pth"
    loop.symlink_to(loop)
    with pytest.raises(UserError, match=r"loop.pth cannot be read \(Too many levels of symbolic links\): give"):
        read_weights(loop)
    torch.save({"epoch": 1}, path)
    with pytest.raises(UserError, match="holds no tensors by name"):
        read_weights(path)
    path.write_text("Repository not found")
    with pytest.raises(UserError, match="weights.pth is damaged or holds"):
        read_weights(path)
