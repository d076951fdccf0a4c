"""Turn image files of any size and mode into small arrays of one size and mode."""

from __future__ import annotations

import io
import multiprocessing
import stat
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from itertools import islice
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from simclr_steps.data.file_kinds import kind_of
from simclr_steps.data.metadata import upright, without_metadata
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.signals import end_with_parent
from simclr_steps.settings.sizes import Size

Decoded = npt.NDArray[np.uint8] | str  # [H, W, C], or why the file cannot be read

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
_AT_ONCE = 16  # files that a process decodes before it hands over
_LOOK_EVERY = 1.0  # seconds in which a process that died is noticed


def decode(path: Path, size: Size, channels: int) -> Decoded:
    """Read an image file: uint8 [height, width, channels], or the reason why it cannot be read.

    The image is turned as its EXIF data say if they can be read, the largest part in its middle that has the shape of
    `size`, height and width, is resized to it with Pillow's bicubic filter, which takes all pixels into account when it
    makes an image smaller, and the rest is left out. Transparent parts become white. Of 16 bits of gray the range 0 to
    65,535 becomes 0 to 255. Of several pages or frames the first is taken. Unreadable are also 32-bit pixels, whose
    range is anyone's guess, and images so large that Pillow takes them for an attack on memory.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")  # about metadata, without the file's name
        return _decode_quietly(path, size, channels)


def _decode_quietly(path: Path, size: Size, channels: int) -> Decoded:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe is to wait for who writes to it
            return "it is no regular file"
        return _decoded(path, size, channels)
    except UnidentifiedImageError:
        reason = _what_it_is(path)
    except Exception as error:  # a damaged file can make a decoder fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
    with suppress(Exception):  # what makes it fail may be no more than metadata
        if pixels := without_metadata(path):
            return _decoded(pixels, size, channels)
    return reason


def _what_it_is(path: Path) -> str:
    """Return what a file is whose content is no image of a format that is read."""
    kind = kind_of(path)
    known = ", ".join(_FORMATS)
    if kind is None:
        return f"it is damaged, or none of {known}"
    if kind.removesuffix(" image").partition(" ")[2].upper() in _FORMATS:
        return f"it is {kind}, but damaged"
    return f"it is {kind}, to be converted to PNG" if kind.endswith("image") else f"it is {kind}, none of {known}"


def _decoded(file: Path | io.BytesIO, size: Size, channels: int) -> npt.NDArray[np.uint8]:
    with Image.open(file, formats=_FORMATS) as image:
        enough = 2 * max(size)  # in both directions, as the image may be turned
        image.draft(None, (enough, enough))  # JPEG: decode at a fraction of the size, still twice too large
        whole = _in_mode(upright(image), "L" if channels == 1 else "RGB")
        small = whole.resize(size[::-1], Image.Resampling.BICUBIC, box=_middle(whole, size), reducing_gap=2.0)
    return np.asarray(small, dtype=np.uint8).reshape(*size, channels)


def decode_all(paths: Sequence[Path], size: Size, channels: int, workers: int) -> Iterator[Decoded]:
    """Decode files with `workers` processes and yield the results in the order of `paths`.

    Raises
    ------
    UserError
        When a process dies.
    """
    job = partial(_decode_some, size=size, channels=channels)
    parts = (paths[start : start + _AT_ONCE] for start in range(0, len(paths), _AT_ONCE))
    if workers == 1:
        for part in parts:
            yield from job(part)
        return
    try:
        # Fresh processes: a fork of one in which torch runs threads can hang.
        spawned = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=spawned, initializer=end_with_parent) as pool:
            for decoded in _in_order(pool, job, parts, ahead=4 * workers):
                yield from decoded
    except BrokenProcessPool as error:
        raise UserError(
            "a process that decodes images died, perhaps out of memory: run again with fewer --workers"
        ) from error


def _decode_some(paths: Sequence[Path], size: Size, channels: int) -> list[Decoded]:
    return [decode(path, size, channels) for path in paths]


def _in_order(
    pool: ProcessPoolExecutor,
    job: Callable[[Sequence[Path]], list[Decoded]],
    parts: Iterable[Sequence[Path]],
    ahead: int,
) -> Iterator[list[Decoded]]:
    """Yield the results of jobs in order, with no more than `ahead` of them begun."""
    waiting, others = iter(parts), multiprocessing.active_children()
    begun: deque[Future[list[Decoded]]] = deque(pool.submit(job, part) for part in islice(waiting, ahead))
    decoders = [process for process in multiprocessing.active_children() if process not in others]
    try:
        while begun:
            yield _result(begun.popleft(), pool, decoders)
            begun.extend(pool.submit(job, part) for part in islice(waiting, 1))
    except BrokenProcessPool:
        # The others wait until somebody reads what they hand over, and the pool waits for them, as they ignore SIGTERM.
        _kill(decoders)
        raise
    finally:
        for future in begun:
            future.cancel()


def _result(future: Future[list[Decoded]], pool: ProcessPoolExecutor, decoders: Sequence[BaseProcess]) -> list[Decoded]:
    """Wait for a result, and end the pool when a decoder has died.

    If that was while it handed over images, the pool would wait for the rest of them until nobody can write any more,
    and this process could as well.
    """
    while True:
        with suppress(TimeoutError):
            return future.result(timeout=_LOOK_EVERY)
        if not all(decoder.is_alive() for decoder in decoders):
            _kill(decoders)
            pool._result_queue._writer.close()  # type: ignore[attr-defined]


def _kill(decoders: Sequence[BaseProcess]) -> None:
    for decoder in decoders:
        decoder.kill()


def _middle(image: Image.Image, size: Size) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of the largest part in an image's middle that has the shape of `size`."""
    height = min(image.height, image.width * size[0] / size[1])
    width = min(image.width, image.height * size[1] / size[0])
    left, top = (image.width - width) / 2, (image.height - height) / 2
    return left, top, left + width, top + height


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Return an image of 8 bits in mode L or RGB."""
    if image.mode in ("I", "F"):
        raise ValueError("its pixels have 32 bits, save it with 8 or 16")
    if image.mode.startswith("I;16"):
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert(mode)
