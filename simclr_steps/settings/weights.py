"""Published weights: which ones an encoder starts from, and where their file is to be had."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from simclr_steps.settings.base import Address, LocalPath, Settings
from simclr_steps.settings.network import PUBLISHED

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def require_tag(encoder: str, key: str = "") -> None:
    """Raise ValueError if a network of timm is named without the tag of its weights; `key` says how names are given."""
    name = encoder.removeprefix("timm:")
    if name != encoder and "." not in name:
        raise ValueError(
            f"needs the tag of the weights: write {key}{encoder}.TAG, with one that timm.list_pretrained('{name}.*') "
            "lists"
        )


class PublishedWeights(Settings):
    """What download_weights is given."""

    encoder: str  # a network of torchvision, or timm:NAME.TAG
    path: LocalPath | None = None
    mirrors: list[Address] = Field([])
    sha256: Sha256 | None = None

    @property
    def name(self) -> str:
        """A name for a file, which no other weights have: resnet50.IMAGENET1K_V2, timm=resnet18.a1_in1k."""
        tag = [PUBLISHED[self.encoder]] if self.encoder in PUBLISHED else []
        return ".".join([self.encoder.replace(":", "="), *tag])

    @property
    def unknown_file(self) -> str | None:
        """The user's path where nothing but its content decides which file it is; otherwise its digits do."""
        return None if self.sha256 or self.encoder in PUBLISHED else self.path
