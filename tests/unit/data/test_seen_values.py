"""A range that can hardly be meant for the images is said, with what their values are."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from simclr_steps.data.seen_values import SeenValues
from tests.unit.settings.test_image_format import of

FIELDS = np.random.default_rng(0).gamma(4, 200, (20, 9, 8, 1)).astype(np.float32).clip(100, 4000).round()
LEAST, LARGEST = FIELDS.min(), FIELDS.max()
INNER = np.percentile(FIELDS, [1, 99])


def said(values: npt.NDArray[Any], caplog: pytest.LogCaptureFixture, std: float = 0.1, **form: Any) -> str:
    """Return what is said of images packed with a range, which come in two parts."""
    seen = SeenValues(of(values.shape[-1], **form))
    parts = [(np.arange(3), values[:3]), (np.arange(3, len(values)), values[3:])]
    assert all(given is images for (_, given), (_, images) in zip(seen.counted(parts), parts, strict=True))
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        seen.report_packed([std] * values.shape[-1])
    return caplog.text


def numbers(sentence: str) -> list[float]:
    words = sentence.replace(",", " ").replace(";", " ").split()
    return [float(word) for word in words if word.replace(".", "").isdigit()]


def test_a_range_that_cuts_most_pixels_off_is_named_with_the_real_values(caplog: pytest.LogCaptureFixture) -> None:
    values = np.concatenate([FIELDS, FIELDS], axis=-1)
    told = said(values, caplog, dtype="uint16", value_range=[(0, 255), (0, 4095)], channel_names=["DNA", "RNA"])
    share = 100 * (FIELDS > 255).mean()
    assert f"warning: {share:.1f} % of the pixels of DNA lie outside its range, 0 to 255: they are " in told
    assert "set value_range to what these images have" in told and "RNA" not in told
    *_, least, largest, _, low, high = numbers(told.partition("set value_range")[0])
    assert (least, largest) == (LEAST, LARGEST)
    assert np.all(np.abs(np.array([low, high]) / INNER - 1) < 0.02)


def test_a_range_of_which_the_pixels_use_almost_nothing_is_named(caplog: pytest.LogCaptureFixture) -> None:
    padded = FIELDS / 4096
    padded[:, :2] = np.nan
    told = said(padded, caplog, std=0.0, dtype="float32", value_range=[(0, 65535)])
    assert "all pixels of channel 0 lie within 1 % of its range, 0 to 65535: they are 0.0" in told
    assert "leave it out" not in told
    masks = (FIELDS > 700).astype(np.uint8)
    told = said(masks, caplog, value_range=[(0, 255)])
    assert "all pixels of channel 0 lie within 1 % of its range, 0 to 255: they are 0 to 1; set value_range" in told


@pytest.mark.parametrize("value_range", [(0, 4095), (LEAST, LARGEST), (400, 3000)])
def test_a_range_that_fits_is_not_worth_a_warning(
    value_range: tuple[float, float], caplog: pytest.LogCaptureFixture
) -> None:
    assert not said(FIELDS, caplog, dtype="uint16", value_range=[value_range])


def test_a_channel_that_is_the_same_everywhere_has_no_wrong_range(caplog: pytest.LogCaptureFixture) -> None:
    same = np.full_like(FIELDS, 7)
    assert "channel 0 is the same in all pixels" in said(same, caplog, 0.0, dtype="uint16", value_range=[(7, 14)])
    assert "within" not in caplog.text
