"""A data set packed by the steps of the workflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from simclr_steps.data.packed import Description, read_description
from simclr_steps.settings.datasets import Dataset
from simclr_steps.steps.label import label
from simclr_steps.steps.prepare import prepare


def pack_and_label(
    block: dict[str, Any] | Dataset, out: Path, *, originals: Path | None = None, workers: int = 1
) -> Description:
    """Pack and label a data set, given as a block of the config, and return what dataset.json says."""
    dataset: Dataset = TypeAdapter(Dataset).validate_python(block) if isinstance(block, dict) else block
    prepare(dataset, originals=originals, out=out, workers=workers)
    label(dataset, data=out, originals=originals, out=out)
    return read_description(out)
