"""The block `prediction`."""

from __future__ import annotations

from pydantic import Field

from simclr_steps.settings.base import Settings, Split


class PredictionSettings(Settings):
    """Which splits get features and predictions."""

    splits: list[Split] = Field(
        ["test"],
        min_length=1,
        description="Splits to compute features for, and predictions of classifiers, which also predict test. In a "
        "grid, the hold-out takes the place of test.",
    )

    @property
    def of_classifiers(self) -> list[str]:
        """The splits that classifiers predict: test, which confusion matrices and mistakes are of, and those named."""
        return list(dict.fromkeys(["test", *self.splits]))


def predictions_name(split: str) -> str:
    """Return the name, less its suffix, of the files with a classifier's predictions of a split."""
    return _of_split("predictions", split)


def mistakes_name(split: str) -> str:
    """Return the name of the file with a classifier's mistakes in a split."""
    return _of_split("mistakes.csv", split)


def _of_split(name: str, split: str) -> str:
    return name if split == "test" else f"{split}.{name}"
