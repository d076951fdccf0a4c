"""An encoder as a folder that timm loads: `timm.create_model("local-dir:FOLDER", pretrained=True)`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from simclr_steps.machine.errors import UserError
from simclr_steps.networks.architecture import Architecture
from simclr_steps.networks.encoders import Classifier, Encoder
from simclr_steps.networks.user_code import is_own

WEIGHTS = "model.safetensors"

_TOLERANCE = 1e-4  # of the largest feature; rounding in fp32 makes about 1e-6
_OF_THE_NETWORK = ("first_conv", "classifier", "fixed_input_size", "pool_size")  # names in timm's own configs


def check_has_timm_form(architecture: Architecture) -> None:
    """Raise UserError for an encoder that timm cannot build."""
    if is_own(architecture.encoder):
        raise UserError(f"{architecture.encoder} is your own network, which timm does not have: use --format onnx")
    if architecture.stem == "small":
        raise UserError(
            f"{architecture} has no timm form, as timm's has the ImageNet stem: use --format onnx, or train with "
            "stem: imagenet"
        )


def write_timm_folder(network: Encoder | Classifier, folder: Path) -> float:
    """Write config.json and model.safetensors into a folder, and return how far timm's features are from the network's.

    Raises
    ------
    UserError
        When timm does not compute the network's features, up to rounding.
    """
    weights = {name: tensor.contiguous() for name, tensor in network.backbone.state_dict().items()}
    (folder / WEIGHTS).write_bytes(save(weights, metadata={"format": "pt"}))
    text = json.dumps(_config(network), indent=2, ensure_ascii=False)
    (folder / "config.json").write_text(f"{text}\n", encoding="utf-8")
    difference = _difference(network, folder)
    if not difference <= _TOLERANCE:
        raise UserError(
            f"{network.architecture} computes different features in this version of timm (off by {difference:.1g} of "
            "the largest feature): use the version that it was trained with, or --format onnx"
        )
    return difference


def _config(network: Encoder | Classifier) -> dict[str, Any]:
    """Return what timm reads of a network and of the images that it expects."""
    import timm  # slow to import, and few need it

    architecture = network.architecture
    name = architecture.encoder.removeprefix("timm:").partition(".")[0]  # as torchvision's networks have theirs
    channels, (height, width) = architecture.channels, architecture.image_size
    known = timm.models.get_pretrained_cfg(architecture.encoder.removeprefix("timm:"))
    of_network = {key: value for key in _OF_THE_NETWORK if (value := getattr(known, key, None)) is not None}
    arguments: dict[str, Any] = {"in_chans": channels, "num_classes": 0}
    if of_network.get("fixed_input_size"):
        arguments["img_size"] = [height, width]
    return {
        "architecture": name,
        "num_classes": 0,
        "num_features": network.feature_size,
        "model_args": arguments,
        "pretrained_cfg": {
            **of_network,
            "input_size": [channels, height, width],
            "mean": network.normalization.mean.tolist(),
            "std": network.normalization.std.tolist(),
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "num_classes": 0,
        },
    }


def _difference(network: Encoder | Classifier, folder: Path) -> float:
    """Return how far timm's features are from the network's at most, as a share of the largest."""
    import timm

    loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    shape = (2, network.architecture.channels, *network.architecture.image_size)
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network.backbone(network.normalization(images))
        found = loaded(network.normalization(images))
    return float((found - expected).abs().max() / expected.abs().max())
