"""What torchvision and timm publish: the file of a network's weights, and the images that they expect."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simclr_steps.networks.timm_names import check_timm_name
from simclr_steps.networks.user_code import is_own
from simclr_steps.settings.network import PUBLISHED
from simclr_steps.settings.sizes import Size

Statistics = tuple[Sequence[float], Sequence[float]]  # mean and standard deviation of each channel, in [0, 1]

_IMAGENET: Statistics = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of all weights that torchvision publishes
_IMAGENET_SIZE = 224, 224  # that all of them are evaluated with
_TORCHVISION_LICENSE = "BSD-3-Clause"
_HUB = "https://huggingface.co/{}/resolve/main/{}"
_HUB_FILE = "model.safetensors"  # where timm names no other


@dataclass(frozen=True)
class Published:
    """The file of published weights."""

    address: str
    digits: str  # the first ones of its SHA-256, as its name has them; empty where it has none
    license: str | None


def published(encoder: str) -> Published:
    """Return the file of the weights that `init: published` takes for a network of torchvision or timm:NAME.TAG.

    Raises
    ------
    UserError
        When timm publishes none of that name and tag.
    """
    if encoder in PUBLISHED:
        import torchvision  # slow to import

        address = torchvision.models.get_model_weights(encoder)[PUBLISHED[encoder]].url
        return Published(address, _digits(address), _TORCHVISION_LICENSE)
    check_timm_name(encoder, weights=True)
    import timm  # slow to import, and few need it

    config: Any = timm.models.get_pretrained_cfg(encoder.removeprefix("timm:"))
    file = config.hf_hub_filename or _HUB_FILE
    address = _HUB.format(config.hf_hub_id, file) if config.hf_hub_id else config.url
    return Published(address, _digits(address), config.license)


def _digits(address: str) -> str:
    """Return the first 8 digits of the SHA-256 that torchvision and, in old releases, timm put into a file's name."""
    found = re.search(r"-([0-9a-f]{8})\.\w+$", address)
    return found[1] if found else ""


def input_size(encoder: str) -> Size:
    """Return the height and width of images that the published weights of a network of torchvision or timm are for."""
    if not encoder.startswith("timm:"):
        return _IMAGENET_SIZE
    import timm  # slow to import, and few need it

    config: Any = timm.models.get_pretrained_cfg(encoder.removeprefix("timm:"))
    _, height, width = config.input_size
    return height, width


def input_statistics(encoder: str) -> Statistics | None:
    """Return what the published weights of a network expect of its images, None where nothing is published."""
    if is_own(encoder):
        return None
    if not encoder.startswith("timm:"):
        return _IMAGENET
    import timm  # slow to import, and few need it

    config = timm.models.get_pretrained_cfg(encoder.removeprefix("timm:"))
    return (config.mean, config.std) if config else None
