from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from PIL import Image

from simclr_steps.data.points_table import points_table


def test_rows_get_their_pictures_a_few_at_a_time(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (5, 2, 3, 3)).astype(np.uint8)
    table = pd.DataFrame({"row": range(5), "note": pd.Series([None, None, "a", "b", None], dtype="string")})
    with points_table(tmp_path / "points.parquet", table) as append:
        for some in (pictures[:2], pictures[2:]):
            append(some)
    file = tmp_path / "points.parquet"
    assert pq.read_metadata(file).num_row_groups == 2, "each batch is on the disk before the next is made"
    read = pd.read_parquet(file)
    pd.testing.assert_frame_equal(read[["row", "note"]], table)
    shown = [np.asarray(Image.open(io.BytesIO(content))) for content in read["thumbnail"]]
    np.testing.assert_array_equal(np.stack(shown), pictures)


def test_a_table_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    with points_table(tmp_path / "points.parquet", pd.DataFrame({"x": pd.Series(dtype="float32")})):
        pass
    assert list(pd.read_parquet(tmp_path / "points.parquet")) == ["x", "thumbnail"]
