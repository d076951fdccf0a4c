"""Encoders off the shelf: published ones, and those that a user has as a file."""

from __future__ import annotations

from pathlib import Path

import torch

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.methods.first_weights import first_weights, start_from
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.backbones import build_backbone
from simclr_steps.networks.encoders import Encoder, load_encoder
from simclr_steps.networks.published import input_size, published
from simclr_steps.networks.timm_names import check_timm_name
from simclr_steps.networks.weight_files import check_file, read_weights
from simclr_steps.networks.weights import are_of
from simclr_steps.settings.compared import OffTheShelf
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.network import ENCODERS
from simclr_steps.settings.pretrain import PretrainSettings


def off_the_shelf(
    network: OffTheShelf, form: ImageFormat, downloaded: Path | None, planned: str | None = None
) -> Encoder:
    """Return an encoder off the shelf, for packed images of a format, which it reads at the size that it is made for.

    Its mean, its standard deviation and its first kernel for other numbers of channels are those of a training that
    starts from these weights. `downloaded` is what download_weights wrote of published ones, and `planned` the
    SHA-256 that the user's file had when the run was planned.

    Raises
    ------
    UserError
        When the file is absent, damaged, of an unknown network, or not the one that was downloaded or planned with.
    """
    try:
        encoder = started(_as_start(network), form, downloaded, planned, frozen=True)
    except UserError as error:
        raise UserError(f"compare: {str(error).removeprefix('init: ')}") from error
    height, width = encoder.architecture.image_size
    if (height, width) != form.size:
        size = f"{form.height} × {form.width}"
        log.info("%s reads images of %s pixels resized to %d × %d", network.title, size, height, width)
    return encoder


def started(
    settings: PretrainSettings,
    form: ImageFormat,
    downloaded: Path | None,
    planned: str | None = None,
    *,
    frozen: bool = False,
) -> Encoder:
    """Return the encoder that a pretraining from given weights begins with, but for its random projection head.

    Of one whose backbone stays `frozen` the file must hold the statistics of batch norm, too.

    Raises
    ------
    UserError
        As `first_weights` and `start_from` do.
    """
    first = first_weights(settings, downloaded, planned)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of the projection head, which nothing reads
        encoder = Encoder(resolve(settings, form, first.origin if first else None))
    if first:
        start_from(encoder, first.path, frozen=frozen)
    return encoder


def _as_start(network: OffTheShelf) -> PretrainSettings:
    """Return the settings of a training that would start from these weights."""
    if network.published:
        encoder = network.published.encoder
        published(encoder)  # which tells names that are unknown
        return PretrainSettings(encoder=encoder, init="published", view_size=input_size(encoder))
    path = Path(network.weights)
    check_file(path)
    if network.encoder:
        if network.encoder.startswith("timm:"):
            check_timm_name(network.encoder, weights=False)
        return PretrainSettings(encoder=network.encoder, init=str(path), view_size=input_size(network.encoder))
    weights = read_weights(path)
    if weights.are_ours and path.suffix == ".safetensors":
        ours = load_encoder(path).architecture
        return PretrainSettings(
            encoder=ours.encoder, init=str(path), stem=ours.stem or "auto", view_size=ours.image_size
        )
    for name in ENCODERS:
        size = input_size(name)
        settings = PretrainSettings(encoder=name, init=str(path), view_size=size)
        with torch.device("meta"):
            backbone, _ = build_backbone(resolve(settings, ImageFormat.of_8_bits(size, 3)))
        if are_of(weights, backbone):
            return settings
    raise UserError(
        f"{path} is neither an encoder of this workflow nor a ResNet of torchvision: give such a file, or name the "
        f"network of timm whose weights it holds, as in {{encoder: timm:NAME, weights: {path}}}"
    )
