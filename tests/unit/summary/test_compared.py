"""The page says what SimCLR is compared with, and by how much it is better."""

from __future__ import annotations

import pandas as pd

from simclr_steps.summary.compared import uncompared


def test_a_data_set_without_an_encoder_off_the_shelf_is_named() -> None:
    rows = [("a", "simclr"), ("a", "published"), ("b", "simclr"), ("b", "pixels"), ("unlabeled", None)]
    (sentence,) = uncompared(pd.DataFrame(rows, columns=["dataset", "series"]))
    assert sentence.startswith("b: no published encoder was compared, so")
