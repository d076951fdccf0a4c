"""Networks: a backbone with a projection head for pretraining or a classifier head for fine-tuning."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from simclr_steps.files import canonical_json, whole_file
from simclr_steps.machine.errors import UserError
from simclr_steps.networks.architecture import Architecture
from simclr_steps.networks.backbones import build_backbone
from simclr_steps.networks.normalization import Normalization, with_identity
from simclr_steps.settings.network import ProjectionHead


class Encoder(nn.Module):
    """The backbone h = f(x) that is kept, and the projection head z = g(h) whose output the loss compares."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.normalization = Normalization(architecture.channels)
        self.backbone, self.feature_size = build_backbone(architecture)
        self.projection_head = _build_projection_head(self.feature_size, architecture.projection_head)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Take float [N, C, H, W] in [0, 1], return features [N, feature_size] and projections [N, output_size]."""
        features = self.backbone(self.normalization(images))
        return features, self.projection_head(features)


class Classifier(nn.Module):
    """A backbone and a head that scores `classes` classes."""

    def __init__(self, architecture: Architecture, classes: int, head: str) -> None:
        super().__init__()
        self.architecture = architecture
        self.class_names: list[str] = []  # in the order of the logits, where it was loaded from a file
        self.head_name = head
        self.temperature = 1.0  # what logits are divided by, so that probabilities are as sure as they are right
        self.normalization = Normalization(architecture.channels)
        self.backbone, self.feature_size = build_backbone(architecture)
        self.head: nn.Module = nn.Linear(self.feature_size, classes)
        if head == "mlp":
            self.head = nn.Sequential(nn.Linear(self.feature_size, self.feature_size), nn.ReLU(inplace=True), self.head)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Take float [N, C, H, W] in [0, 1], return features [N, feature_size] and logits [N, classes]."""
        features = self.backbone(self.normalization(images))
        return features, self.head(features) / self.temperature

    def layers(self) -> list[list[nn.Parameter]]:
        """Return the parameters of the backbone's blocks, from the images on, and last those of the head.

        A block is a part of the backbone or, where a part is a sequence, an item of it. Parts without a weight of two
        dimensions or more, such as norms, belong to the block before them, and the backbone's own parameters to the
        first.
        """
        blocks: list[list[nn.Parameter]] = []
        for part in self.backbone.children():
            for block in part.children() if isinstance(part, nn.Sequential | nn.ModuleList) else [part]:
                parameters = list(block.parameters())
                if blocks and all(parameter.ndim <= 1 for parameter in parameters):
                    blocks[-1] += parameters
                else:
                    blocks.append(parameters)
        first, *others = blocks or [[]]
        return [[*self.backbone.parameters(recurse=False), *first], *others, list(self.head.parameters())]


def _build_projection_head(features: int, settings: ProjectionHead) -> nn.Sequential:
    """Return the network from [N, features] to [N, output_size], of 2 (SimCLR) or 3 (SimCLR v2) linear layers."""
    layers: list[nn.Module] = []
    width = features
    for _ in range(settings.layers - 1):
        layers.append(nn.Linear(width, settings.hidden_size, bias=not settings.batch_norm))
        if settings.batch_norm:
            layers.append(nn.BatchNorm1d(settings.hidden_size))
        layers.append(nn.ReLU(inplace=True))
        width = settings.hidden_size
    return nn.Sequential(*layers, nn.Linear(width, settings.output_size, bias=False))


class _Description(BaseModel):
    """What a file says of its network; an encoder has no head."""

    architecture: Architecture
    head: Literal["linear", "mlp"] | None = None
    classes: list[str] = []
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)  # the first classifiers were stored without


def save_network(path: Path, network: Encoder | Classifier, classes: list[str] | None = None) -> None:
    """Write a network's weights, all that is needed to build it again, and a checksum of both, as safetensors."""
    description: dict[str, Any] = {"architecture": network.architecture.model_dump(mode="json")}
    if isinstance(network, Classifier):
        description |= {"head": network.head_name, "classes": classes or [], "temperature": network.temperature}
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    description["sha256"] = _checksum(description, weights)
    with whole_file(path) as partial:
        partial.write_bytes(save(weights, metadata={"simclr": json.dumps(description)}))


def load_network(path: Path, *, trust: str | None = None) -> Encoder | Classifier:
    """Build the network that a safetensors file of this package holds, on the CPU, ready for inference.

    Raises
    ------
    UserError
        When the file is absent, damaged, no network of this package, does not fit its own description, or holds weights
        that are not finite; or when it names own code that has changed since the training, in another module than
        `trust`. That code is not run.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder: give the .safetensors file in it")
    try:
        with safe_open(path, framework="pt") as stored:
            description = json.loads((stored.metadata() or {}).get("simclr", "{}"))
            weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: run the step that makes it") from error
    except (SafetensorError, ValueError, RecursionError, OSError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run the step that makes it") from error
    if not isinstance(description, dict) or "architecture" not in description:
        raise UserError(f"{path} contains no network from this workflow: give an encoder or a model that it made")
    written = description.pop("sha256", None)  # version 0.1 wrote none
    if written is not None and written != _checksum(description, weights):
        raise UserError(f"{path} is damaged (its checksum is wrong): delete it and run the step that makes it")
    try:
        known = _Description.model_validate(description)
    except ValidationError as error:
        what = ".".join(map(str, error.errors()[0]["loc"]))
        raise UserError(
            f"{path} describes a network that this version does not know ({what}): use the version that made it"
        ) from error
    known.architecture.check_own_code(path, trust)
    network: Encoder | Classifier
    with described_by(path):
        if known.head:
            network = Classifier(known.architecture, len(known.classes), known.head)
            network.class_names, network.temperature = known.classes, known.temperature
        else:
            network = Encoder(known.architecture)
    load_weights(network, weights, path)
    return network.eval()


@contextmanager
def described_by(path: Path) -> Iterator[None]:
    """Turn whatever fails while a network is built from what the file at `path` says of it into a UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path} describes a network that cannot be built ({reason}): make it again") from error


def load_encoder(path: Path) -> Encoder:
    """Load a network as `load_network` does; raise UserError when it is a classifier, too."""
    network = load_network(path)
    if not isinstance(network, Encoder):
        raise UserError(f"{path} is a classifier: give the encoder.safetensors written by select")
    return network


def load_classifier(path: Path, *, trust: str | None = None) -> Classifier:
    """Load a network as `load_network` does; raise UserError when it is an encoder, too."""
    network = load_network(path, trust=trust)
    if not isinstance(network, Classifier):
        raise UserError(f"{path} is an encoder, which knows no classes: finetune writes the models that classify takes")
    return network


def load_weights(network: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Put weights into a freshly built network that must fit them exactly.

    Raises
    ------
    UserError
        When a weight does not fit, naming the first, or is not finite. A buffer may be infinite, as masks are.
    """
    try:
        network.load_state_dict(with_identity(weights, network), strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise UserError(
            f"{path} does not match the requested architecture ({first}): use the settings it was trained with"
        ) from error
    parameters = {name for name, _ in network.named_parameters()}
    for name, weight in weights.items():
        if weight.isnan().any() or (name in parameters and weight.isinf().any()):
            raise UserError(f"{path} holds weights that are not finite, first in {name}: train again")


def hash_of_weights(network: nn.Module) -> str:
    """Return a digest of all weights and statistics of a network, by name."""
    return _checksum(None, network.state_dict())


def _checksum(description: Any, weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(canonical_json(description).encode())
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
