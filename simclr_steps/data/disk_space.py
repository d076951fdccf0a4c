"""Whether packed images will fit on the disk, which is known before the first is read."""

from __future__ import annotations

from pathlib import Path
from shutil import disk_usage

import numpy as np

from simclr_steps.data.packed_writer import ImageSource
from simclr_steps.data.splits import SplitNames
from simclr_steps.data.value_ranges import fixed_limits
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.settings.value_ranges import of_each_channel

_WAITING_BYTES = 4  # of a value, while the range of all is searched for


def require_space(source: ImageSource, splits: SplitNames, out: Path) -> None:
    """Check that the images of all splits, [N], packed in `out`, will fit on its disk.

    Raises
    ------
    UserError
        When they will not. Where empty tiles are dropped, how many is not known yet, and this is a warning.
    """
    form = source.reading
    of_value = source.bits // 8
    if fixed_limits(of_each_channel(source.value_range, form.channels), source.dtype) is None:
        of_value += _WAITING_BYTES
    images = int(np.count_nonzero(splits != ""))
    needed = images * form.height * form.width * form.channels * of_value
    place = next(folder for folder in [out, *out.absolute().parents] if folder.exists())
    free = disk_usage(place).free
    if needed <= free:
        return
    sentence = (
        f"{images:,} images of {form.height} × {form.width} × {form.channels} pixels need {_size(needed)} of disk "
        f"space in {out}, where {_size(free)} are free"
    )
    if source.keep is None:
        raise UserError(f"{sentence}: free some, or set a smaller image_size, a larger tiles.stride, or subset")
    log.warning("warning: %s: they will fit only if enough empty tiles are dropped", sentence)


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
