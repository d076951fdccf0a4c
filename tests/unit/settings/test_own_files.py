"""What the user names must exist, and the workflow must not write over it, nor train from what it trains."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.own_files import check_own_files
from simclr_steps.settings.plan import Plan
from tests.unit.settings.test_plan import BLOCKS, EXPERIMENTS, planned


def refused(asked: Plan) -> str:
    with pytest.raises(UserError) as error:
        check_own_files(asked, str)
    return str(error.value)


def test_own_data_that_are_not_there_are_named_if_an_experiment_uses_them() -> None:
    check_own_files(planned(*EXPERIMENTS, **BLOCKS), str)
    missing = refused(planned({"dataset": "own"}, **BLOCKS))
    assert missing == "datasets.own.path: /not/there does not exist: fix the path"


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    weights = tmp_path / "resnet18.pth"
    result = planned({}, **BLOCKS | {"pretrains": {"simclr": {"init": str(weights)}}})
    assert refused(result) == f"pretrains.simclr.init: {weights} does not exist: fix the path"
    weights.touch()
    check_own_files(result, str)
    assert result.own_files["pretrains.simclr.init"] == weights
    folders = BLOCKS | {"pretrains": {"simclr": {"init": str(tmp_path)}}}, BLOCKS | {"compare": [str(tmp_path)]}
    for blocks, key in zip(folders, ("pretrains.simclr.init", "compare.0"), strict=True):
        sentence = refused(planned({}, **blocks))
        assert sentence.startswith(f"{key}: {tmp_path} is a folder: give the path of the file of weights")
    elsewhere = {"init": "published", "weights_path": str(tmp_path / "mine.pth")}
    sentence = refused(planned({}, **BLOCKS | {"pretrains": {"simclr": elsewhere}}))
    assert sentence == f"pretrains.simclr.weights_path: {tmp_path}/mine.pth does not exist: fix the path"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("results/images", 'results/images is in "results", where the workflow writes: move the data elsewhere'),
        ("resources/own", 'resources/own is in "resources/own", where the workflow writes: move the data elsewhere'),
        ("resources/weights", 'resources/weights is in "resources/weights", where the workflow writes: move the data'),
        ("link", 'link is in "work", where the workflow writes: move the data elsewhere'),
        (".", '. contains "benchmarks", where the workflow writes: use a folder with only images'),
    ],
)
def test_own_data_among_what_the_workflow_writes_are_refused(
    path: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("results/images", "resources/own", "resources/raw", "resources/weights", "work/images"):
        Path(name).mkdir(parents=True)
    Path("link").symlink_to("work/images")
    blocks = BLOCKS | {"datasets": {"own": {"source": "folder", "path": path, "image_size": 8}}}
    blocks["pretrains"] = {"simclr": {"init": "published"}}
    assert refused(planned({"dataset": "own"}, **blocks)).startswith(f"datasets.own.path: {sentence}")
    blocks["datasets"]["own"]["path"] = "resources/raw"
    check_own_files(planned({"dataset": "own"}, **blocks), str)


RUN = "results/digits/simclr/seed0"
COPY = "copy the file elsewhere and name the copy"


def touch(name: str) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).touch()
    return name


@pytest.mark.parametrize(
    ("file", "blocks", "continues"),
    [
        (f"{RUN}/encoder/encoder.safetensors", {"pretrains": {"simclr": {"init": "FILE"}}}, True),
        (f"{RUN}/pretrain/last.ckpt", {"pretrains": {"simclr": {}, "longer": {"init": "FILE"}}}, True),
        (f"work/{RUN[8:]}/pretrain/a/last.ckpt", {"pretrains": {"simclr": {}, "longer": {"init": "FILE"}}}, True),
        (f"{RUN}/encoder/encoder.safetensors", {"compare": ["FILE"]}, False),
        (f"{RUN}/finetune/few/model.safetensors", {"pretrains": {"simclr": {"init": "FILE"}}}, False),
        (
            "resources/weights/resnet18.IMAGENET1K_V1/resnet18-f37072fd.pth",
            {"compare": ["torchvision:resnet18", "FILE"]},
            False,
        ),
    ],
)
def test_weights_that_this_config_writes_are_refused(
    file: str, blocks: dict[str, Any], continues: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that starts from what it trains would start over forever."""
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to(touch(file))
    further = "to train it further, write continue: simclr in a block of its own; otherwise " if continues else ""
    for path in (file, "link"):
        named = json.loads(json.dumps({"pretrains": {"simclr": {}}, **blocks}).replace("FILE", path))
        asked = planned(*({"pretrain": name, "finetunes": ["few"]} for name in named["pretrains"]), **named)
        key, sentence = refused(asked).split(": ", 1)
        assert key in ("pretrains.simclr.init", "pretrains.longer.init", "compare.0", "compare.1")
        assert re.fullmatch(f'{path} is in "\\S+", where this config writes weights: {further}{COPY}', sentence)


def test_weights_of_another_config_may_lie_in_the_same_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    of_others = ("digits/other/seed0/encoder/e.safetensors", "digits/simclr/seed1/pretrain/last.ckpt")
    files = [touch(f"results/{name}") for name in (*of_others, "digits/simclr/seed0/finetune/other/m.safetensors")]
    for file in files:
        check_own_files(planned({"finetunes": ["few"]}, pretrains={"simclr": {"init": file}}, compare=[file]), str)
    known = touch("resources/weights/resnet18.IMAGENET1K_V1/resnet18-f37072fd.pth")
    taken = {"init": "published", "weights_path": known}
    check_own_files(planned({}, pretrains={"simclr": taken}), str)


def test_another_data_set_is_not_told_of_continue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file, own = touch(f"{RUN}/encoder/encoder.safetensors"), tmp_path / "images"
    own.mkdir()
    datasets = {"digits": {"source": "digits"}, "own": {"source": "folder", "path": str(own), "image_size": 8}}
    transferred = planned(
        {}, {"dataset": "own", "pretrain": "next"}, datasets=datasets, pretrains={"simclr": {}, "next": {"init": file}}
    )
    sentence = f'pretrains.next.init: {file} is in "{RUN}/encoder", where this config writes weights: {COPY}'
    assert refused(transferred) == sentence


def test_a_folder_is_named_as_it_lies_below_a_modules_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = planned({}, compare=[touch(f"ssl/{RUN}/encoder/encoder.safetensors")])
    check_own_files(asked, str)
    with pytest.raises(UserError, match=f'is in "ssl/{RUN}/encoder"'):
        check_own_files(asked, lambda path: f"ssl/{path}")
