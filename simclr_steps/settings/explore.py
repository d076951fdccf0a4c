"""The block `explore`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from simclr_steps.settings.auto import WholeOrAuto
from simclr_steps.settings.base import PACKED_SPLITS, SPLITS, Settings, Split, array_of
from simclr_steps.settings.display import Display
from simclr_steps.settings.judged import JudgedBy, instead_of_test

_AUTO: tuple[Split, ...] = ("train", "unlabeled", "test")


def _check_splits(value: Any) -> Any:
    if value == "auto" or (isinstance(value, list) and all(split in SPLITS for split in value)):
        return value
    raise ValueError(f"must be auto, or a list of {', '.join(SPLITS[:-1])} and {SPLITS[-1]}")


class ExploreSettings(Settings):
    """How images are looked through by their features: near-duplicates, outliers, clusters, what to label, labels."""

    splits: Annotated[list[Split] | Literal["auto"], BeforeValidator(_check_splits)] = Field(
        "auto",
        description="Splits to explore together. `auto`: train, unlabeled and test if they have no more than 100,000 "
        "images together; a list: those, whatever their number; `[]`: none. In a grid, the hold-out takes the place of "
        "test.",
    )
    n_neighbors: int = Field(
        10, ge=1, description="Number of neighbors whose mean distance makes an outlier, and that vote on a label."
    )
    min_cosine: float = Field(
        0.99,
        gt=0,
        le=1,
        description="Cosine similarity from which on two images are near-duplicates, of features less their mean.",
    )
    n_clusters: WholeOrAuto = Field(
        "auto",
        description="Number of clusters. `auto`: that of the classes, or without labels the square root of half the "
        "number of images, at most 50.",
    )
    n_to_label: int = Field(100, ge=1, description="Number of images to propose for labeling.")

    @property
    def named(self) -> list[str]:
        """The splits to explore, if there are any images in them."""
        return list(_AUTO if self.splits == "auto" else dict.fromkeys(self.splits))

    @property
    def arrays(self) -> list[str]:
        """The packed arrays that hold them: unlabeled images are rows of train."""
        held = {array_of(split) for split in self.named}
        return [split for split in PACKED_SPLITS if split in held]


class ExploreOfDataset(ExploreSettings):
    """The block `explore`, how the images of a data set are shown, if they are, and by which split a run is judged."""

    display: Display | None = None
    pictures: bool = True
    judged_by: JudgedBy = "test"

    @property
    def named(self) -> list[str]:
        """The splits to explore, if there are any images in them; test is not read where it does not judge."""
        return instead_of_test(super().named, self.judged_by)
