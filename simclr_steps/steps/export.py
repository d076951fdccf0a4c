"""Write an encoder for use elsewhere: as ONNX, which runs without torch, or as a folder that timm loads."""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from simclr_steps.data.scaling import is_plain
from simclr_steps.files import checksum, whole_file, whole_folder
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.machine.replaced import Own, check_not_read, check_replaceable
from simclr_steps.networks.encoders import Classifier, Encoder, load_network
from simclr_steps.networks.features import network_input
from simclr_steps.networks.timm_folder import WEIGHTS, check_has_timm_form, write_timm_folder
from simclr_steps.summary.model_card import is_model_card, model_card

_PACKAGES = ("onnx", "onnxscript", "onnxruntime")  # the extra "onnx" of pyproject.toml
_CARD = "README.md"
_OWN = Own(("config.json", WEIGHTS, _CARD))  # of `out` for timm
_TOLERANCE = 1e-4  # of the largest feature; rounding in fp32 makes about 1e-6


def export(encoder: Path, *, kind: str = "onnx", trust: str | None = None, out: Path) -> None:
    """Write the backbone h = f(x) as an ONNX file or as a folder for timm, and check that it computes what torch does.

    ONNX: its input is images [N, H, W, C], resized to what the network reads and with the values that their files have:
    uint8 where the network was trained on files of 8 bits, else float32. Its output is features, float32 [N, D]. N is
    free; the value range that the network was trained with, clipping, rounding and the division are part of the file,
    and so is that margins, which are NaN, become 0. Its metadata hold, under the key `simclr`, JSON with the
    architecture, image format included, and the run record.

    timm: config.json and model.safetensors, which `timm.create_model("local-dir:…", pretrained=True)` loads, and a
    model card, README.md. Only a folder that is absent, empty or an earlier export, by its model card, is replaced.

    Raises
    ------
    UserError
        If a package is missing, the file is not an encoder, or its network cannot be exported.
    """
    check_not_read(out, encoder)
    if kind == "timm":
        _export_to_timm(load_network(encoder, trust=trust), encoder, out)
        return
    missing = [package for package in _PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise UserError(f"export needs {', '.join(missing)}: install with `pip install {' '.join(missing)}`")
    _export_to_onnx(load_network(encoder, trust=trust), encoder, out)


def _check_earlier_export(folder: Path) -> None:
    """Raise UserError when a folder has some file of an export, and no model card of one."""
    card = folder / _CARD
    is_export = card.is_file() and is_model_card(card.read_text(encoding="utf-8", errors="replace"))
    if not is_export and (own := [name for name in _OWN.files if (folder / name).exists()]):
        raise UserError(
            f"{folder} holds {own[0]}, which is not from an earlier export and would be replaced: move it, or write "
            "elsewhere"
        )


def _export_to_timm(network: Encoder | Classifier, encoder: Path, out: Path) -> None:
    check_has_timm_form(network.architecture)
    check_replaceable(out, _OWN)
    _check_earlier_export(out)
    with whole_folder(out, _OWN) as folder:
        difference = write_timm_folder(network, folder)
        (folder / _CARD).write_text(model_card(network, encoder, folder / WEIGHTS), encoding="utf-8")
    log.info("timm agrees with torch to %.0e of the largest feature: %s", difference, out)


def _export_to_onnx(network: Encoder | Classifier, encoder: Path, out: Path) -> None:
    record = Record("export", None, None)
    reader = _Features(network).eval()
    with whole_file(out) as partial:
        program = _program(reader)
        origin = {"encoder": str(encoder), "encoder_hash": checksum(encoder)}
        architecture = network.architecture.model_copy(update={"image_format": reader.form})
        facts = {**origin, "architecture": architecture.model_dump(mode="json"), "run": record.finish()}
        program.model.metadata_props["simclr"] = json.dumps(facts)
        program.save(partial, external_data=False)
        difference = _difference(partial, reader)
        if not difference <= _TOLERANCE:
            raise UserError(
                f"{network.architecture} computes different features in onnxruntime and in torch (off by "
                f"{difference:.1g} of the largest feature): a layer behaves differently in ONNX, so use another network"
            )
    given = (reader.input_dtype, *reader.image_shape, network.feature_size)
    log.info("images, %s [N, %d, %d, %d] → features, float32 [N, %d]", *given)
    log.info("onnxruntime agrees with torch to %.0e of the largest feature: %s", difference, out)


class _Features(nn.Module):
    """The backbone with the scaling of its input, which is that of `data.scaling.scale` and `network_input`."""

    low: Tensor
    high: Tensor

    def __init__(self, network: Encoder | Classifier) -> None:
        super().__init__()
        self.normalization, self.backbone = network.normalization, network.backbone
        self.architecture = network.architecture
        self.form = self.architecture.trained_on
        self.image_shape = (*self.architecture.image_size, self.form.channels)
        self.input_dtype = "uint8" if self.form.dtype == "uint8" else "float32"
        for name, limits in zip(("low", "high"), zip(*self.form.value_range, strict=True), strict=True):
            self.register_buffer(name, torch.tensor(limits, dtype=torch.float32))

    def forward(self, images: Tensor) -> Tensor:
        if is_plain(self.form):
            x = network_input(images, self.architecture.image_size)
        else:
            scaled = ((images.to(torch.float32) - self.low) / (self.high - self.low)).clamp(0, 1)
            scaled = scaled.nan_to_num(0.0)
            x = (scaled * self.form.largest).round().permute(0, 3, 1, 2) / self.form.largest
        return self.backbone(self.normalization(x))  # type: ignore[no-any-return]

    def examples(self, count: int) -> Tensor:
        """Return random images that it can read, some of whose values are to be clipped if there can be any."""
        share = torch.rand((count, *self.image_shape), generator=torch.Generator().manual_seed(0))
        if self.input_dtype == "uint8":
            return (share * 256).to(torch.uint8)
        return self.low + (self.high - self.low) * (1.2 * share - 0.1)


def _program(reader: _Features) -> Any:
    """Return the torch.onnx.ONNXProgram of a network."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about its own deprecated calls
            return torch.onnx.export(
                reader,
                (reader.examples(2),),
                input_names=["images"],
                output_names=["features"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # whatever a network does that cannot be traced
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{reader.architecture} cannot be exported to ONNX ({reason}): use another encoder") from error


def _difference(file: Path, reader: _Features) -> float:
    """Return how far onnxruntime's features are from torch's at most, as a share of the largest."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    images = reader.examples(3)
    with torch.inference_mode():
        expected = reader(images).numpy()
    (exported,) = session.run(["features"], {"images": images.numpy()})
    return float(np.abs(exported - expected).max() / np.abs(expected).max())
