"""Backbones: networks from images to features, torchvision's, timm's and a user's own."""

from __future__ import annotations

import torch
import torchvision
from torch import nn

from simclr_steps.machine.errors import UserError
from simclr_steps.networks.architecture import Architecture
from simclr_steps.networks.timm_names import check_timm_name
from simclr_steps.networks.user_code import call_own
from simclr_steps.settings.image_format import counted_channels


def build_backbone(architecture: Architecture) -> tuple[nn.Module, int]:
    """Return a network of random weights, float [N, C, H, W] in [0, 1] to float [N, F], and its number of features F.

    Raises
    ------
    UserError
        When timm or a user's own code does not give such a network.
    """
    if ":" not in architecture.encoder:
        return _from_torchvision(architecture)
    backbone = _from_timm(architecture) if architecture.encoder.startswith("timm:") else _own(architecture)
    return backbone, _count_features(backbone, architecture)


def _from_torchvision(architecture: Architecture) -> tuple[nn.Module, int]:
    """Return a ResNet, ResNeXt or Wide-ResNet without its classifier."""
    backbone = torchvision.models.get_model(architecture.encoder, weights=None)
    if architecture.stem == "small":
        # Small images lose too much to a 7×7 stride-2 convolution and a max-pool (SimCLR, appendix B.9).
        backbone.conv1 = nn.Conv2d(architecture.channels, 64, 3, stride=1, padding=1, bias=False)
        backbone.maxpool = nn.Identity()
    elif architecture.channels != 3:
        backbone.conv1 = nn.Conv2d(architecture.channels, 64, 7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(backbone.conv1.weight, mode="fan_out", nonlinearity="relu")
    feature_size = backbone.fc.in_features
    backbone.fc = nn.Identity()
    return backbone, feature_size


def _from_timm(architecture: Architecture) -> nn.Module:
    """Return a network of timm without its classifier."""
    check_timm_name(architecture.encoder, weights=False)
    import timm  # slow to import, and few need it

    name = architecture.encoder.removeprefix("timm:")
    # Networks such as vision transformers are made for one size of images.
    size = architecture.image_size if timm.get_pretrained_cfg_value(name, "fixed_input_size") else None
    try:
        network: nn.Module = timm.create_model(name, num_classes=0, in_chans=architecture.channels, img_size=size)
    except Exception as error:
        raise _does_not_fit(architecture, error) from error
    return network


def _own(architecture: Architecture) -> nn.Module:
    network = call_own(architecture.encoder, channels=architecture.channels, image_size=architecture.image_size)
    if not isinstance(network, nn.Module):
        raise UserError(
            f"encoder: {architecture.encoder} returns a {type(network).__name__}: make it return a torch.nn.Module"
        )
    return network


def _count_features(backbone: nn.Module, architecture: Architecture) -> int:
    """Return F of the [N, F] that a network makes of N images of the architecture's height and width.

    Raises
    ------
    UserError
        When it makes something else of them, or cannot read them.
    """
    images = torch.zeros(2, architecture.channels, *architecture.image_size)
    backbone.eval()
    try:
        with torch.no_grad():
            features = backbone(images)
    except Exception as error:
        raise _does_not_fit(architecture, error) from error
    if not isinstance(features, torch.Tensor) or features.ndim != 2 or len(features) != len(images):
        returned = list(features.shape) if isinstance(features, torch.Tensor) else f"a {type(features).__name__}"
        raise UserError(
            f"encoder: {architecture.encoder} returns {returned} for 2 images: make it return [2, features]"
        )
    backbone.train()
    return features.shape[1]


def _does_not_fit(architecture: Architecture, error: Exception) -> UserError:
    height, width = architecture.image_size
    channels = counted_channels(architecture.channels)
    reason = " ".join(str(error).split()) or type(error).__name__
    return UserError(
        f"encoder: {architecture.encoder} cannot read images of {height} × {width} pixels and {channels} "
        f"({reason}): use another network, or set view_size to a size that it supports"
    )
