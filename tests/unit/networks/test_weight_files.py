"""Files of weights are read, wherever their tensors are, and refused in one sentence."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from simclr_steps.machine.errors import UserError
from simclr_steps.networks.weight_files import read_weights
from tests.unit.networks.test_weights import TIMM, as_old_zip_free, as_safetensors, as_torchvision, put


def saved(path: Path, *within: str, **beside: object) -> dict[str, Tensor]:
    """Write a network's state dict within parts of a file, and return it."""
    state = timm.create_model(TIMM.removeprefix("timm:")).state_dict()
    content: dict[str, object] = dict(state)
    for name in reversed(within):
        content = {name: content}
    torch.save(content | beside, path)
    return dict(state)


def starts_from(path: Path, state: dict[str, Tensor]) -> bool:
    """Return whether a backbone that starts from a file gets these weights."""
    return all(torch.equal(tensor, state[name]) for name, tensor in put(path, TIMM).items())


OPTIMIZER = {"state": {0: {"momentum": torch.zeros(3)}}}
LOSS = {"center": torch.zeros(3)}


@pytest.mark.parametrize("places", ["state_dict", "model state_dict", "model.module", "ema.module", "a.b.c.state_dict"])
def test_the_only_network_of_a_file_is_found_at_any_depth(
    tmp_path: Path, places: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "last.ckpt"
    state = saved(path, *places.replace(" ", ".").split("."), optimizer=OPTIMIZER, loss=LOSS, step=torch.tensor(3))
    assert starts_from(path, state)
    assert "several networks" not in caplog.text
    is_usual = "." not in places
    assert read_weights(path).part == (None if is_usual else places)


@pytest.mark.parametrize("part", ["state_dict", "model"])
@pytest.mark.parametrize(
    "other", ["state_dict_ema", "state_dict_ema.module", "ema.module", "model_ema.state_dict", "the top"]
)
def test_which_of_two_networks_in_a_file_is_used_is_told(
    tmp_path: Path, part: str, other: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "last.ckpt"
    one = saved(path)
    average = () if other == "the top" else other.split(".")
    saved(path, *average, **{part: one, "optimizer": OPTIMIZER, "loss": LOSS})
    with caplog.at_level("INFO"):
        assert starts_from(path, one)
    assert f"tensors, within {part}" in caplog.text
    told = f"{path} holds several networks: {part} is used, and not {other}: to use another, save it as a file of its"
    assert told in caplog.text
    assert read_weights(path).part == part and read_weights(path).others == (other,)


def test_a_usual_name_for_something_else_hides_no_network(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    state = saved(path, "net", model={"args": {"width": 64}})
    assert starts_from(path, state) and read_weights(path).part == "net"


def test_what_an_optimizer_keeps_of_each_parameter_is_no_network(tmp_path: Path) -> None:
    path, small = tmp_path / "last.ckpt", nn.Linear(3, 2)
    optimizer = torch.optim.Adam(small.parameters())
    small(torch.zeros(1, 3)).sum().backward()
    optimizer.step()
    torch.save({"net": small.state_dict(), "optimizer": optimizer.state_dict()}, path)
    assert read_weights(path).part == "net" and read_weights(path).others == ()


def test_several_networks_in_no_usual_place_are_named(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    saved(path, "ema", "module", student=saved(path), loss=LOSS)
    told = "holds no tensors by name: it has some within student, ema.module: save one of these as a file$"
    with pytest.raises(UserError, match=told):
        read_weights(path)


def test_a_network_that_is_there_twice_is_one(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    state = saved(path)
    torch.save({"ema": state, "model": state}, path)
    assert read_weights(path).others == ()


def test_a_file_that_is_within_itself_is_refused(tmp_path: Path) -> None:
    endless: dict[str, object] = {"epoch": 1}
    endless |= {"state_dict": endless, "ema": {"module": endless}}
    torch.save(endless, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match="holds no tensors by name: save a state_dict$"):
        read_weights(tmp_path / "last.ckpt")


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
