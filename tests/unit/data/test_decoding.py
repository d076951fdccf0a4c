from __future__ import annotations

import os
import socket
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from simclr_steps.data import decoding
from simclr_steps.data.decoding import Decoded
from simclr_steps.data.scaling import scale
from simclr_steps.settings.image_format import ImageFormat, Reading
from simclr_steps.settings.sizes import Size


def decode(path: Path, size: Size, channels: int) -> npt.NDArray[np.uint8] | str:
    return pixels(decoding.decode(path, Reading(height=size[0], width=size[1], channels=channels)))


def pixels(image: Decoded | str) -> npt.NDArray[np.uint8] | str:
    return image if isinstance(image, str) else image.values


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """A photograph of 640 × 427 pixels."""
    return Image.fromarray(load_sample_images().images[0])


def decoded(path: Path, side: int, channels: int) -> npt.NDArray[np.uint8]:
    result = decode(path, (side, side), channels)
    assert not isinstance(result, str), result
    return result


def difference(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(float) - other).mean())


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_format_gives_the_same_small_image(photo: Image.Image, tmp_path: Path, suffix: str, channels: int) -> None:
    photo.save(tmp_path / f"photo.{suffix}", quality=95)
    small = decoded(tmp_path / f"photo.{suffix}", 64, channels)
    assert small.shape == (64, 64, channels)
    square = photo.crop((106, 0, 533, 427)).resize((64, 64), Image.Resampling.BICUBIC)
    expected = np.asarray(square.convert("L" if channels == 1 else "RGB")).reshape(64, 64, channels)
    assert difference(small, expected) < 2


def test_an_image_of_the_right_size_keeps_every_pixel(photo: Image.Image, tmp_path: Path) -> None:
    square = photo.crop((0, 0, 40, 40))
    square.save(tmp_path / "square.png")
    assert np.array_equal(decoded(tmp_path / "square.png", 40, 3), np.asarray(square))


def test_the_middle_of_a_wide_and_of_a_high_image_is_kept(tmp_path: Path) -> None:
    wide = np.zeros((20, 60, 3), dtype=np.uint8)
    wide[:, 12:48] = 200  # more than the middle square, for the filter looks beyond it
    for name, pixels in (("wide.png", wide), ("high.png", wide.transpose(1, 0, 2))):
        Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / name)
        assert (decoded(tmp_path / name, 5, 3) == 200).all()


@pytest.mark.parametrize(("height", "width"), [(40, 61), (61, 40), (40, 41), (7, 300)])
def test_the_largest_part_of_another_shape_is_kept_too(height: int, width: int, tmp_path: Path) -> None:
    pixels = np.zeros((2 * height, 2 * width + 40, 3), dtype=np.uint8)
    pixels[:, 8:-8] = 200  # more than the middle part, for the filter looks beyond it
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    Image.fromarray(pixels[:height, :width]).save(tmp_path / "exact.png")
    assert np.array_equal(decode(tmp_path / "wide.png", (height, width), 3), np.full((height, width, 3), 200))
    assert np.array_equal(decode(tmp_path / "exact.png", (height, width), 3), pixels[:height, :width])


def test_shrinking_averages_fine_stripes(tmp_path: Path) -> None:
    stripes = np.zeros((256, 256), dtype=np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    small = decoded(tmp_path / "stripes.png", 16, 1)
    assert small.min() > 110
    assert small.max() < 145


def test_the_exif_orientation_is_applied(photo: Image.Image, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it turned by 270° counter-clockwise
    photo.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    photo.save(tmp_path / "plain.jpg", quality=95)
    turned, plain = (decoded(tmp_path / name, 32, 3) for name in ("turned.jpg", "plain.jpg"))
    assert difference(turned, np.rot90(plain, 3)) < 2
    assert difference(turned, plain) > 20


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB"])
def test_transparent_parts_become_white_and_others_keep_their_color(tmp_path: Path, mode: str) -> None:
    half = Image.new("RGBA", (20, 20), (60, 60, 60, 255))
    half.paste((10, 10, 10, 0), (0, 0, 10, 20))
    options: dict[str, Any] = {}
    if mode == "RGB":  # one color is declared transparent
        half, options = half.convert("RGB"), {"transparency": (10, 10, 10)}
    elif mode != "RGBA":
        half = half.convert("LA") if mode == "LA" else half.quantize()
    half.save(tmp_path / "half.png", **options)
    small = decoded(tmp_path / "half.png", 20, 3)
    assert (small[:, :10] == 255).all()
    assert np.abs(small[:, 10:].astype(int) - 60).max() <= 1


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_gray_is_scaled_not_cut(tmp_path: Path, suffix: str) -> None:
    ramp = np.tile(np.linspace(0, 65535, 16).round().astype(np.uint16), (16, 1))
    Image.fromarray(ramp).save(tmp_path / f"ramp.{suffix}")
    values = decoded(tmp_path / f"ramp.{suffix}", 16, 1)
    assert np.array_equal(values[..., 0], ramp)
    facts = {"height": 16, "width": 16, "channels": 1, "dtype": "uint16", "mean": [0.5], "std": [0.25]}
    form = ImageFormat.model_validate({**facts, "value_range": [(0, 65535)]})
    assert np.array_equal(scale(values, form)[0, :, 0], np.arange(16) * 17)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_other_modes_become_gray_or_color(photo: Image.Image, tmp_path: Path, mode: str) -> None:
    name = "photo.png" if mode in ("1", "L", "P") else "photo.tif"
    photo.convert(mode).save(tmp_path / name)
    expected = np.asarray(photo.crop((106, 0, 533, 427)).convert("L").resize((8, 8), Image.Resampling.BICUBIC))
    assert difference(decoded(tmp_path / name, 8, 1)[..., 0], expected) < 12
    assert decoded(tmp_path / name, 8, 3).shape == (8, 8, 3)


def test_unreadable_files_give_a_reason(photo: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo.save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").touch()
    Image.fromarray(np.ones((9, 9), dtype=np.int32)).save(tmp_path / "int.tif")
    for name in ("cut.jpg", "text.png", "empty.png", "int.tif", "absent.png"):
        assert isinstance(decode(tmp_path / name, (8, 8), 3), str), name
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert "decompression bomb" in str(decode(tmp_path / "whole.jpg", (8, 8), 3))


def test_a_file_that_is_not_regular_is_unreadable_instead_of_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as bound, chdir(tmp_path):  # whose path may have 107 bytes
        bound.bind("socket.png")
        for name in ("pipe.jpg", "device.png", "socket.png"):
            assert decode(tmp_path / name, (8, 8), 3) == "it is not a regular file"


def bicubic(large: int, start: float, length: float, small: int) -> npt.NDArray[np.float64]:
    """Return the weights [small, large] of a bicubic filter that is stretched to take all pixels into account."""
    scale = length / small
    centers = start + scale * (np.arange(small) + 0.5)
    x = np.abs(np.arange(large) + 0.5 - centers[:, None]) / max(scale, 1)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x < 1, near, np.where(x < 2, far, 0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (20, 31), (90, 140)])
def test_deep_images_are_resized_as_the_filter_is_defined(tmp_path: Path, dtype: str, height: int, width: int) -> None:
    generator = np.random.default_rng(0)
    whole = generator.integers(20_000, 40_000, (60, 80, 3)).astype(dtype)
    np.save(tmp_path / "a.npy", whole)
    reading = Reading(height=height, width=width, channels=3, channel_names=["A", "B", "C"])
    image = decoding.decode(tmp_path / "a.npy", reading)
    assert isinstance(image, Decoded) and image.values.dtype == np.float32
    part_height, part_width = min(60, 80 * height / width), min(80, 60 * width / height)
    down = bicubic(60, (60 - part_height) / 2, part_height, height)
    across = bicubic(80, (80 - part_width) / 2, part_width, width)
    expected = np.einsum("ih,hwc,jw->ijc", down, whole.astype(np.float64), across)
    assert np.abs(image.values - expected).max() < 0.5  # of 20,000: Pillow cuts the filter at the edges of the part
    assert image.kept == pytest.approx(part_height * part_width / 4800)


def test_a_deep_image_looks_as_one_of_8_bits_does(photo: Image.Image, tmp_path: Path) -> None:
    gray = photo.convert("L")
    gray.save(tmp_path / "shallow.png")
    Image.fromarray(np.asarray(gray).astype(np.uint16) * 257).save(tmp_path / "deep.png")
    shallow, deep = (decoded(tmp_path / name, 200, 1).astype(float) for name in ("shallow.png", "deep.png"))
    differences = np.abs(shallow - deep / 257)
    assert np.quantile(differences, 0.99) <= 1  # 8 bits are rounded, and clipped, twice on the way
    assert differences.max() < 10


@pytest.mark.parametrize("side", [12, 50, 64])
def test_equal_pixels_of_8_bits_become_equal_small_images_however_they_are_read(
    photo: Image.Image, tmp_path: Path, side: int
) -> None:
    photo.save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", np.asarray(photo))
    expected = decoded(tmp_path / "a.png", side, 3)
    named = Reading(height=side, width=side, channels=3, channel_names=["A", "B", "C"])
    for path, how in (("a.npy", named), ("a.png", named), ("a.npy", Reading(height=side, width=side, channels=3))):
        assert np.array_equal(pixels(decoding.decode(tmp_path / path, how)), expected)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(("shape", "inner"), [((30, 60), (12, 24)), ((60, 30), (20, 10)), ((7, 3), (20, 9))])
def test_padding_keeps_all_of_an_image_in_the_middle(
    tmp_path: Path, dtype: str, shape: tuple[int, int], inner: tuple[int, int]
) -> None:
    Image.fromarray(np.full(shape, 200, dtype=dtype)).save(tmp_path / "a.png")
    image = decoding.decode(tmp_path / "a.png", Reading(height=20, width=24, channels=1, fit="pad"))
    assert isinstance(image, Decoded) and image.kept == 1
    inside = image.values == 200
    rows, columns = np.flatnonzero(inside.any(axis=(1, 2))), np.flatnonzero(inside.any(axis=(0, 2)))
    assert (len(rows), len(columns)) == inner and inside.sum() == inner[0] * inner[1]
    assert abs(rows[0] - (19 - rows[-1])) <= 1 and abs(columns[0] - (23 - columns[-1])) <= 1
    assert image.dtype == dtype and np.isnan(image.values[~inside]).all()


@pytest.mark.parametrize("limits", [(0, 255), (-100, 200)])
def test_margins_of_8_bits_are_packed_as_0_whatever_the_range(tmp_path: Path, limits: tuple[int, int]) -> None:
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(8, 32)).save(tmp_path / "a.png")
    image = decoding.decode(tmp_path / "a.png", Reading(height=32, width=32, channels=1, fit="pad"))
    assert isinstance(image, Decoded)
    facts = {"height": 32, "width": 32, "channels": 1, "mean": [0.5], "std": [0.25]}
    packed = scale(image.values, ImageFormat.model_validate({**facts, "value_range": [limits]}))[..., 0]
    assert not packed[:12].any() and not packed[20:].any()
    values = np.arange(256).reshape(8, 32)
    expected = values if limits == (0, 255) else np.rint(((values + 100) / 300).clip(0, 1) * 255)
    assert np.array_equal(packed[12:20], expected)


def test_an_image_may_have_a_file_for_each_channel(tmp_path: Path) -> None:
    planes = np.random.default_rng(0).integers(0, 4096, (3, 12, 12)).astype(np.uint16)
    files = tuple(tmp_path / f"{name}.png" for name in "abc")
    for file, plane in zip(files, planes, strict=True):
        Image.fromarray(plane).save(file)
    reading = Reading(height=12, width=12, channels=3, channel_names=["A", "B", "C"])
    image = decoding.decode(files, reading)
    assert isinstance(image, Decoded) and np.array_equal(image.values, np.moveaxis(planes, 0, -1))
    Image.fromarray(planes[1, :6]).save(files[1])
    assert decoding.decode(files, reading) == "b.png is 6 × 12 uint16, and a.png 12 × 12 uint16"
    Image.fromarray(planes[1].astype(np.uint8)).save(files[1])
    assert decoding.decode(files, reading) == "b.png is 12 × 12 uint8, and a.png 12 × 12 uint16"
    Image.new("RGB", (12, 12)).save(files[1])
    assert decoding.decode(files, reading) == "b.png of channel B has 3 channels: give a file with one"
