"""An exported encoder gives torch's features without torch."""

from __future__ import annotations

import importlib.util
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

from simclr_steps.data.scaling import scale
from simclr_steps.files import checksum
from simclr_steps.machine.errors import UserError
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder, load_network, save_network
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.steps.export import export
from tests.unit.conftest import Images, WriteEncoder, digits
from tests.unit.settings.test_image_format import of

onnxruntime = pytest.importorskip("onnxruntime")


def write_network(path: Path, encoder: str) -> Path:
    head = ProjectionHead(hidden_size=8, output_size=4)
    save_network(
        path,
        Encoder(resolve(PretrainSettings(encoder=encoder, projection_head=head), ImageFormat.of_8_bits((32, 32), 3))),
    )
    return path


def assert_same_features(model: Path, session: Any, images: Images) -> None:
    expected, _ = compute_features(load_network(model), images, torch.device("cpu"))
    (found,) = session.run(None, {"images": images})
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))


@pytest.mark.slow
def test_digits_have_torchs_features_in_batches_of_any_size(write_encoder: WriteEncoder, tmp_path: Path) -> None:
    model, out = write_encoder(encoder="resnet18"), tmp_path / "encoder.onnx"
    export(model, out=out)
    session = onnxruntime.InferenceSession(out)
    (images,), (features,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape[1:]) == ("images", "tensor(uint8)", [8, 8, 1])
    assert (features.name, features.shape[1:]) == ("features", [512])
    for count in (1, 2, 100):
        assert_same_features(model, session, digits(count)[0])
    facts = json.loads(session.get_modelmeta().custom_metadata_map["simclr"])
    assert facts["architecture"]["encoder"] == "resnet18" and facts["run"]["step"] == "export"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["encoder.onnx", "encoder.safetensors"]


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["tests.own_encoders:with_batch_norm", "timm:test_vit"])
def test_timms_and_own_networks_of_color_images_have_torchs_features(encoder: str, tmp_path: Path) -> None:
    model = write_network(tmp_path / "encoder.safetensors", encoder)
    export(model, out=tmp_path / "encoder.onnx")
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    assert_same_features(model, onnxruntime.InferenceSession(tmp_path / "encoder.onnx"), images)


def test_the_mean_and_standard_deviation_of_given_weights_are_part_of_the_file(
    write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    network = load_network(write_encoder(channels=3))
    network.normalization.set([0.2, 0.4, 0.6], [0.1, 0.2, 0.3])
    save_network(tmp_path / "given.safetensors", network)
    export(tmp_path / "given.safetensors", out=tmp_path / "encoder.onnx")
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(tmp_path / "encoder.onnx")
    assert_same_features(tmp_path / "given.safetensors", session, images)
    by_hand = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - torch.tensor([0.2, 0.4, 0.6])[:, None, None]) / (
        torch.tensor([0.1, 0.2, 0.3])[:, None, None]
    )
    with torch.no_grad():
        expected = network.backbone(by_hand)
    np.testing.assert_allclose(session.run(None, {"images": images})[0], expected, atol=1e-5)


def test_images_that_are_no_squares_have_torchs_features(write_encoder: WriteEncoder, tmp_path: Path) -> None:
    model = write_encoder(image_size=(8, 20))
    export(model, out=tmp_path / "encoder.onnx")
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 20, 1), dtype=np.uint8)
    assert_same_features(model, onnxruntime.InferenceSession(tmp_path / "encoder.onnx"), images)


@pytest.mark.parametrize(
    ("facts", "low", "high"),
    [
        ({"dtype": "uint16", "bits": 16, "value_range": [(180, 4095), (0, 65_535), (7, 900)]}, 0, 5000),
        ({"dtype": "float32", "bits": 8, "value_range": [(-0.5, 1.25), (0, 1), (-3, 3)]}, -2, 2),
        ({"dtype": "uint8", "bits": 16, "value_range": [(10, 100), (0, 255), (0, 200)]}, 0, 255),
    ],
)
def test_raw_values_of_any_depth_have_the_features_of_their_packed_ones(
    facts: dict[str, Any], low: float, high: float, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    form = of(3, height=8, width=20, **facts)
    kind = np.dtype("uint8" if form.dtype == "uint8" else "float32")
    model, out = write_encoder(image_format=form), tmp_path / "encoder.onnx"
    export(model, out=out)
    values = np.random.default_rng(0).uniform(low, high, (5, 8, 20, 3)).astype(kind)
    if kind == np.float32:
        values[0, :, :3] = np.nan  # a margin
    session = onnxruntime.InferenceSession(out)
    assert session.get_inputs()[0].type == f"tensor({'uint8' if kind == np.uint8 else 'float'})"
    expected, _ = compute_features(load_network(model), scale(values, form), torch.device("cpu"))
    (found,) = session.run(None, {"images": values})
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    stored = json.loads(session.get_modelmeta().custom_metadata_map["simclr"])["architecture"]["image_format"]
    assert ImageFormat.model_validate(stored) == form


def test_a_network_that_onnx_computes_otherwise_is_not_written(
    write_encoder: WriteEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simclr_steps.steps.export._difference", lambda *_: 0.5)
    monkeypatch.setattr("simclr_steps.steps.export._TOLERANCE", 0.4)
    model = write_network(tmp_path / "encoder.safetensors", "tests.own_encoders:without_batch_norm")
    with pytest.raises(UserError, match="different features in onnxruntime and in torch .off by 0.5 of the largest"):
        export(model, out=tmp_path / "encoder.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["encoder.safetensors"]


@pytest.fixture
def without_torchs_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take back what torch 2.11 leaves of a failed export: a hook of all modules that breaks torch.compile's graphs."""
    monkeypatch.setattr(torch.nn.modules.module, "_global_buffer_registration_hooks", OrderedDict())


@pytest.mark.usefixtures("without_torchs_hook")
def test_a_network_that_cannot_be_traced_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "branching.py").write_text(
        "import torch\n"
        "class Branching(torch.nn.Flatten):\n"
        "    def forward(self, x): return super().forward(x if x.sum().item() > 1 else -x)\n"
        "def network(**_): return Branching()\n"
    )
    model = write_network(tmp_path / "encoder.safetensors", "branching:network")
    with pytest.raises(UserError, match="branching:network cannot be exported to ONNX"):
        export(model, out=tmp_path / "encoder.onnx")


def test_absent_packages_are_named(
    write_encoder: WriteEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if "onnx" in name else find(name, *rest))
    with pytest.raises(UserError, match="export needs onnx, onnxscript, onnxruntime: install with `pip install onnx "):
        export(write_encoder(), out=tmp_path / "encoder.onnx")


@pytest.mark.parametrize("kind", ["timm", "onnx"])
def test_an_encoder_is_not_replaced_by_its_export(kind: str, write_encoder: WriteEncoder, tmp_path: Path) -> None:
    model = write_encoder(encoder="timm:test_resnet", image_size=(32, 32), name="run/model")
    before = model.read_bytes()
    for out in (model, model.parent, model.parent.parent):
        with pytest.raises(UserError, match="--out: .* would be replaced.*: (give another name|write elsewhere)$"):
            export(model, kind=kind, out=out)
    assert model.read_bytes() == before


def test_timm_loads_the_folder_that_is_written_for_it(write_encoder: WriteEncoder, tmp_path: Path) -> None:
    model, out = write_encoder(encoder="timm:test_resnet", channels=2, image_size=(32, 32)), tmp_path / "for timm#1"
    export(model, kind="timm", out=out)
    assert sorted(file.name for file in out.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    images = torch.rand(2, 2, 32, 32)
    with torch.inference_mode():
        found = timm.create_model(f"local-dir:{out}", pretrained=True).eval()(images)
        torch.testing.assert_close(found, load_network(model)(images)[0], rtol=1e-4, atol=1e-4)
    assert checksum(out / "model.safetensors") in (out / "README.md").read_text(encoding="utf-8")
    export(model, kind="timm", out=out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds notes.txt, which is not from this step"):
        export(model, kind="timm", out=out)
    with pytest.raises(UserError, match="has no timm form"):
        export(write_encoder(encoder="resnet18"), kind="timm", out=tmp_path / "small")
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize("name", ["README.md", "config.json"])
def test_a_folder_that_is_no_earlier_export_is_left_alone(
    name: str, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    model, out = write_encoder(encoder="timm:test_resnet", image_size=(32, 32)), tmp_path / "project"
    out.mkdir()
    (out / name).write_text("years of work")
    with pytest.raises(UserError, match=f"project holds {name}, which is not from an earlier export and would be re"):
        export(model, kind="timm", out=out)
    assert [file.read_text() for file in out.iterdir()] == ["years of work"]
