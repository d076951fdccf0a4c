"""What docs/use.md shows runs, and gives the features of the encoder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from simclr_steps.data.points_table import points_table
from simclr_steps.machine.options import Hardware
from simclr_steps.networks.encoders import load_network, save_network
from simclr_steps.steps.classify import classify
from simclr_steps.steps.export import export
from tests.unit.conftest import WriteEncoder
from tests.unit.step_processes import link_own_encoders

PAGE = (Path(__file__).parents[2] / "docs/use.md").read_text(encoding="utf-8")
NORMALIZED = [0.2, 0.4, 0.6], [0.1, 0.2, 0.3]  # mean and standard deviation

Run = Callable[..., dict[str, Any]]


def snippets(heading: str) -> list[str]:
    """Return the Python code below a heading of the page."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the code of a section, with some of it replaced, and returns its variables."""
    monkeypatch.chdir(tmp_path)
    link_own_encoders(tmp_path)

    def ran(heading: str, number: int = 0, **replaced: str) -> dict[str, Any]:
        code = snippets(heading)[number]
        for old, new in replaced.items():
            assert old in code
            code = code.replace(old, new)
        variables: dict[str, Any] = {}
        exec(compile(code, f"docs/use.md, {heading}", "exec"), variables)
        return variables

    return ran


def normalized(model: Path) -> Path:
    """Give an encoder a mean and a standard deviation, as given weights have them."""
    network = load_network(model)
    network.normalization.set(*NORMALIZED)
    save_network(model, network)
    return model


def write_pictures(folder: Path, *names: str) -> None:
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(folder / name)


def test_every_snippet_is_run_here() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    headings = [heading for heading in re.findall(r"^## (.*)$", PAGE, re.MULTILINE) if snippets(heading)]
    assert headings and [heading for heading in headings if f'run("{heading}"' not in tests] == []


def test_the_points_of_the_map(run: Run, tmp_path: Path) -> None:
    with points_table(tmp_path / "points.parquet", pd.DataFrame({"path": ["a.png"]})) as append:
        append(np.zeros((1, 2, 2, 3), dtype=np.uint8))
    points = run("The map in other tools")["points"]
    assert points["path"].tolist() == ["a.png"] and points["thumbnail"][0].startswith(b"\x89PNG")


def test_classify(run: Run, write_encoder: WriteEncoder, tmp_path: Path) -> None:
    model = write_encoder(channels=3, classes=("cat", "dog"), name="model")
    write_pictures(tmp_path, "photos/a.png", "photos/b.png")
    for suffix in ("parquet", "npz"):
        hardware = Hardware(gpus=0, workers=1)
        classify(model, images=tmp_path / "photos", out=tmp_path / f"classes.{suffix}", hardware=hardware)
    made = run("Classify new images")
    assert list(made["classes"]["path"]) == list(made["arrays"]["path"]) == ["a.png", "b.png"]
    assert made["facts"]["classes"] == ["cat", "dog"] and made["facts"]["skipped"] == []


def test_python(run: Run, write_encoder: WriteEncoder, tmp_path: Path) -> None:
    write_encoder(channels=3)
    write_encoder(channels=3, classes=("cat", "dog"), name="model")
    write_pictures(tmp_path, "a.png", "b.png")
    made = run("In Python")
    np.testing.assert_allclose(made["embed_images"](made["encoder"], ["a.png", "b.png"]), made["features"], atol=1e-6)
    assert made["probabilities"].shape == (2, 2) and set(made["best"]) <= {"cat", "dog"}


@pytest.mark.parametrize(("stem", "size"), [("small", 32), ("imagenet", 96)])
def test_plain_pytorch(stem: str, size: int, run: Run, write_encoder: WriteEncoder) -> None:
    model = normalized(write_encoder(encoder="resnet18", channels=3, image_size=(size, size)))
    made = run("Plain PyTorch", **{'"small"  #': f'"{stem}"  #', "channels, 32, 32": f"channels, {size}, {size}"})
    with torch.inference_mode():
        expected, _ = load_network(model)(made["images"])
    torch.testing.assert_close(made["features"], expected)


def test_timm(run: Run, write_encoder: WriteEncoder, tmp_path: Path) -> None:
    model = write_encoder(encoder="timm:test_resnet", channels=3, image_size=(32, 32))
    export(model, kind="timm", out=tmp_path / "encoder-timm")
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        expected = load_network(model)(images)[0]
        for number in (0, 1):
            torch.testing.assert_close(run("timm", number)["network"](images), expected, rtol=1e-4, atol=1e-4)


def test_lightning(run: Run, write_encoder: WriteEncoder) -> None:
    weights = load_network(write_encoder(channels=3)).backbone.state_dict()
    trained = run("Lightning")["encoder"].network.backbone.state_dict()
    assert all((trained[name] != weight).any() for name, weight in weights.items())


def test_scikit_learn(
    run: Run, write_encoder: WriteEncoder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_encoder(channels=3)
    write_pictures(tmp_path / "photos", *(f"{name}/{number}.jpg" for name in ("cat", "dog") for number in range(3)))
    run("scikit-learn")
    assert 0 <= float(capsys.readouterr().out) <= 1


def test_onnx_runtime(run: Run, write_encoder: WriteEncoder, tmp_path: Path) -> None:
    model = write_encoder(channels=3)
    export(model, out=tmp_path / "encoder.onnx")
    made = run("ONNX Runtime")
    with torch.inference_mode():
        expected, _ = load_network(model)(torch.from_numpy(made["images"]).permute(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(made["features"], expected, atol=1e-5)


def test_detector_and_segmenter(run: Run, write_encoder: WriteEncoder) -> None:
    normalized(write_encoder(encoder="resnet18", channels=3, image_size=(96, 96)))
    losses = run("In a detector or a segmenter")["losses"]
    assert len(losses) == 4 and all(loss.isfinite() for loss in losses.values())
    assert run("In a detector or a segmenter", 1)["scores"].shape == (1, 2, 96, 96)
