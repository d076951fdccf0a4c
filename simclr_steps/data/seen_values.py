"""Which values images have, beside the range that they are packed with: a wrong range is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from simclr_steps.data.scaling import Values, is_plain
from simclr_steps.data.splits import Rows
from simclr_steps.data.value_ranges import rough_histogram, rough_percentiles
from simclr_steps.machine.logs import log
from simclr_steps.settings.image_format import ImageFormat

_MOST_OUTSIDE = 0.5  # share of a channel's pixels beyond which its range is probably meant for other images
_LEAST_REACH = 0.01  # share of its range, likewise
_INNER = (1, 99)  # percentiles


class SeenValues:
    """Counts the values of images against the range of a format; margins, which are NaN, do not count."""

    def __init__(self, form: ImageFormat) -> None:
        self._form, self._is_plain = form, is_plain(form)
        self._low, self._high = np.array(form.value_range, dtype=np.float32).T
        self._least, self._largest = np.full(form.channels, np.inf), np.full(form.channels, -np.inf)
        self._histogram = np.zeros_like(rough_histogram(np.zeros((0, form.channels))))  # not of plain images
        self._outside = np.zeros(form.channels, dtype=np.int64)
        self._images = self._images_outside = 0

    def add(self, images: Values) -> None:
        """Count the values of images, [N, H, W, C]."""
        for channel in range(images.shape[-1]):  # together they would take 20 times as long
            values = images[..., channel]
            self._least[channel] = np.fmin(self._least[channel], np.fmin.reduce(values, axis=None))
            self._largest[channel] = np.fmax(self._largest[channel], np.fmax.reduce(values, axis=None))
        self._images += len(images)
        if self._is_plain:  # which has no outside
            return
        outside = ((images < self._low) | (images > self._high)).sum(axis=(1, 2))
        self._outside += outside.sum(axis=0)
        self._images_outside += int(outside.any(axis=1).sum())
        self._histogram += rough_histogram(images)

    def counted(self, parts: Iterable[tuple[Rows, Values]]) -> Iterator[tuple[Rows, Values]]:
        """Yield rows and their images as they come, counted."""
        for rows, images in parts:
            self.add(images)
            yield rows, images

    def report_packed(self, std: Sequence[float]) -> None:
        """Say the range of packed images, warn where it is wrong, and of channels that are the same everywhere.

        `std` is the standard deviation of each channel over the images that are trained on.
        """
        form = self._form
        if not self._is_plain:
            ranges = [
                f"{form.named(channel)} {low:g} to {high:g} ({100 * self._share(channel):.2f} % of the pixels saturate)"
                for channel, (low, high) in enumerate(form.value_range)
            ]
            log.info("%s values, packed in %d bits, range: %s", form.dtype, form.bits, ", ".join(ranges))
        for channel, deviation in enumerate(std):
            if wrong := self._wrong(channel):
                log.warning("warning: %s; set value_range to what these images have, or to auto", wrong)
            elif deviation == 0:
                log.warning(
                    "warning: %s is the same in all pixels that are trained on: leave it out", form.named(channel)
                )

    def report_new(self) -> None:
        """Say how many new images have values that the range of an encoder cuts off, and warn where it fits none."""
        if self._images_outside:
            share = 100 * self._outside.sum() / self._histogram.sum()
            log.info(
                "%d of %d images have values outside the range that the encoder was trained with (%.2g %% of all "
                "pixels), which saturate",
                *(self._images_outside, self._images, share),
            )
        for wrong in filter(None, map(self._wrong, range(self._form.channels))):
            log.warning("warning: %s; give images of the kind that the encoder was trained on", wrong)

    def _share(self, channel: int) -> float:
        """Return which share of a channel's pixels lies outside its range."""
        return float(self._outside[channel] / max(self._histogram[channel].sum(), 1))

    def _wrong(self, channel: int) -> str | None:
        """Return why a channel's range can hardly be meant for these images; None if it may."""
        (low, high), share = self._form.value_range[channel], self._share(channel)
        least, largest = float(self._least[channel]), float(self._largest[channel])
        name, inside = self._form.named(channel), min(largest, high) - max(least, low)
        if share > _MOST_OUTSIDE:
            sentence = f"{100 * share:.1f} % of the pixels of {name} lie outside its range, {low:g} to {high:g}"
        elif least < largest and inside <= _LEAST_REACH * (high - low):
            sentence = f"all pixels of {name} lie within {100 * _LEAST_REACH:g} % of its range, {low:g} to {high:g}"
        else:
            return None
        inner = "" if self._is_plain else ", 98 % of them from about {:g} to {:g}"
        return f"{sentence}: they are {least:g} to {largest:g}" + inner.format(
            *rough_percentiles(self._histogram[channel], _INNER)
        )
