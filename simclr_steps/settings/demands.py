"""What experiments ask of a data set, whatever they make of it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.auto import WholeOrAuto
from simclr_steps.settings.base import Settings, Split
from simclr_steps.settings.display import Display
from simclr_steps.settings.judged import JudgedBy
from simclr_steps.settings.labels import LabelBudget
from simclr_steps.settings.selection import Criterion


class _DemandsOfBlock(Settings):
    """Some keys of a block."""

    @classmethod
    def of(cls, block: Settings) -> Self:
        """Return what a block asks."""
        return cls(**{name: getattr(block, name) for name in cls.model_fields})


class PretrainDemands(_DemandsOfBlock):
    """What a block of `pretrains` asks of a data set, and what must fit its number of images."""

    global_batch_size: WholeOrAuto = "auto"
    epochs: WholeOrAuto = "auto"
    warmup_epochs: float = 0
    warmup_steps: int | None = None


class FinetuneDemands(_DemandsOfBlock):
    """What a block of `finetunes` asks of a data set, and how long it trains."""

    labels: LabelBudget
    draws: int
    keep: Literal["last", "best"]
    epochs: WholeOrAuto = "auto"
    warmup_epochs: float = 0


class Demands(Settings):
    """What the experiments ask of a data set, whatever they make of it."""

    pretrains: dict[str, PretrainDemands]  # by the pretraining's name
    criterion: Criterion
    finetunes: dict[str, FinetuneDemands]
    drawn: list[str]  # the splits that UMAP draws, or the hold-out in place of test
    judged_by: list[JudgedBy] = Field(["test"])  # of its runs
    explored: list[Split] = Field([])  # those that `explore` names
    display: Display | None = None
    supervised: bool
    color_keys: dict[str, list[str]] = Field({})  # of augmentations: those written that need colors, by block


def written_of_color(settings: Augmentation | None) -> list[str]:
    """Return the keys that the user wrote, and not a preset, which change something in color images only."""
    return [key for key in settings.of_color if key in settings.model_fields_set] if settings else []
