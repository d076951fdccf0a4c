"""What a network looks like, in words that a file can hold; no torch is needed to read it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from simclr_steps.machine.errors import UserError
from simclr_steps.networks.user_code import is_own, own_code_hash
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.sizes import Size, as_size

LARGEST_SMALL_IMAGE = 64  # pixels; at 96 and above the ImageNet stem leaves enough of the image
LEAST_LARGE_IMAGE = 48  # pixels; below, the ImageNet stem leaves less than 2 × 2 values of the image

_StoredSize = Annotated[Size, BeforeValidator(as_size)]  # the first encoders were stored with the side of a square


class StartedFrom(BaseModel):
    """The weights that a training started from, for all records of what was made with them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str  # of published weights, or of the user's file
    source: str  # the address or the path of the file
    sha256: str
    license: str | None = None  # None where it is not known
    part: str | None = None  # of the user's file, where it holds several networks, or one in no usual place


class Architecture(BaseModel):
    """All that is needed to build an encoder again from its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: str
    stem: Literal["small", "imagenet"] | None  # None: the encoder is not torchvision's
    channels: int
    image_size: _StoredSize  # of what the network reads
    packed_size: _StoredSize | None = None  # of the images it was trained on, where `view_size` makes them another size
    image_format: ImageFormat | None = None  # of the packed images it was trained on; version 0.1 wrote none
    projection_head: ProjectionHead
    own_code_hash: str | None = None  # of the file that holds a user's own encoder
    started_from: StartedFrom | None = None  # None: random weights

    def check_own_code(self, path: Path, trust: str | None = None) -> None:
        """Raise UserError when the file at `path` names own code other than that of its training, which is not run.

        It must lie in the working folder. `trust` is a module that the user vouches for, whatever its code and place.
        """
        module = self.encoder.partition(":")[0]
        if not is_own(self.encoder) or trust == module:
            return
        try:
            is_known = self.own_code_hash == own_code_hash(self.encoder)
        except UserError as error:
            raise UserError(
                f"{path}: {error}, or let embed, classify, search and export take the code from elsewhere with --trust "
                f"{module}"
            ) from error
        if not is_known:
            raise UserError(
                f"{path} calls {self.encoder}, whose code has changed since training: restore the old code, or let "
                f"embed, classify, search and export run the current code with --trust {module}"
            )

    @property
    def trained_on(self) -> ImageFormat:
        """The format of the packed images that the network was trained on; version 0.1 packed 8 bits only."""
        return self.image_format or ImageFormat.of_8_bits(self.packed_size or self.image_size, self.channels)

    @property
    def origin(self) -> dict[str, Any]:
        """What records of steps say of the weights that the network's training started from; nothing of random ones."""
        return {"started_from": self.started_from.model_dump()} if self.started_from else {}

    @property
    def is_slow_on_cpu(self) -> bool:
        """Return whether the ImageNet stem, which would do, makes much less work: by a CPU's time a tenth."""
        return self.stem == "small" and min(self.image_size) >= LEAST_LARGE_IMAGE

    def __str__(self) -> str:
        """Return the encoder in words, for the log."""
        return f"{self.encoder} with the {self.stem} stem" if self.stem else self.encoder


def resolve(
    settings: PretrainSettings, image_format: ImageFormat, started_from: StartedFrom | None = None
) -> Architecture:
    """Return the architecture for packed images of a format, to be trained from random weights or from others.

    Raises
    ------
    UserError
        When the file of a user's own encoder is not found or is no Python.
    """
    size: Size = as_size(settings.view_size or image_format.size)
    return Architecture(
        encoder=settings.encoder,
        stem=_stem(settings, size),
        channels=image_format.channels,
        image_size=size,
        packed_size=image_format.size if settings.view_size else None,
        image_format=image_format,
        projection_head=settings.projection_head,
        own_code_hash=own_code_hash(settings.encoder) if is_own(settings.encoder) else None,
        started_from=started_from,
    )


def _stem(settings: PretrainSettings, image_size: Size) -> Literal["small", "imagenet"] | None:
    if ":" in settings.encoder:
        return None
    return default_stem(image_size) if settings.asked_stem == "auto" else settings.asked_stem


def default_stem(image_size: Size) -> Literal["small", "imagenet"]:
    """Return the stem that `auto` takes for images of this size."""
    return "small" if min(image_size) <= LARGEST_SMALL_IMAGE else "imagenet"
