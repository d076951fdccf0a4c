from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from simclr_steps.data.readable import UnreadableError, check_size, check_type


@pytest.mark.parametrize("kind", ["uint8", "<u2", ">u2", "<f4", ">f4"])
def test_three_types_are_read_in_either_byte_order(kind: str) -> None:
    check_type(np.dtype(kind))


@pytest.mark.parametrize("kind", ["int16", "uint32", "float64", "float16", "complex64", "bool", "object"])
def test_other_types_are_named(kind: str) -> None:
    with pytest.raises(UnreadableError, match=f"its values are {kind}: convert them to uint8, uint16 or float32"):
        check_type(np.dtype(kind))


def test_an_array_that_pillow_would_not_decode_is_refused_by_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    check_size((40, 50), 1)
    check_size((40, 50, 3), 3)
    with pytest.raises(UnreadableError, match="it has 40 × 51 values, too many to be read at once"):
        check_size((40, 51), 1)
