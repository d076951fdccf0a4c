"""Features that are missing, damaged or of other images than their table are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simclr_steps.data.gathered import read_features, read_table
from simclr_steps.machine.errors import UserError


@pytest.fixture
def features(tmp_path: Path) -> Path:
    np.save(tmp_path / "backbone.npy", np.arange(12, dtype=np.float32).reshape(4, 3))
    pd.DataFrame({"row": range(4), "source": list("abcd")}).to_parquet(tmp_path / "rows.parquet")
    return tmp_path


def test_features_and_their_table_are_read(features: Path) -> None:
    assert read_features(features, "backbone").shape == (4, 3)
    assert read_table(features)["source"].tolist() == list("abcd")


@pytest.mark.parametrize(("name", "step"), [("backbone.npy", "gather"), ("rows.parquet", "tabulate")])
def test_a_file_that_is_damaged_or_missing_is_told(features: Path, name: str, step: str) -> None:
    path = features / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=rf"{name} is damaged \(.*\): delete it and run {step} again"):
        read_table(features)
    path.unlink()
    with pytest.raises(UserError, match=f"{name} does not exist: run {step}"):
        read_table(features)


def test_a_table_of_other_images_is_told(features: Path) -> None:
    np.save(features / "backbone.npy", np.zeros((5, 3), dtype=np.float32))
    with pytest.raises(UserError, match="rows.parquet does not match the features beside it: run tabulate again"):
        read_table(features)
