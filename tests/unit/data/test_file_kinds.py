"""A file that is not what its name or place says is named by what it is, wherever it is read."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simclr_steps.data.decoding import decode
from simclr_steps.data.file_kinds import kind_of
from simclr_steps.data.image_files import find_images
from simclr_steps.data.image_tables import read_lines
from simclr_steps.data.numpy_files import read_arrays
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import ArraysDataset
from simclr_steps.settings.image_format import Reading

READING = Reading(height=8, width=8, channels=3)
PICTURE = Image.new("RGB", (8, 8), (9, 99, 199))


def image(kind: str) -> bytes:
    stream = io.BytesIO()
    PICTURE.save(stream, kind)
    return stream.getvalue()


def array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros((4, 8, 8), np.uint8))
    return stream.getvalue()


def arrays() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, train_images=np.zeros((4, 8, 8), np.uint8))
    return stream.getvalue()


def packed(name: str = "ant/1.jpg") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, b"a")
    return stream.getvalue()


def tar(mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(mode=mode, fileobj=stream) as archive:  # type: ignore[call-overload]
        archive.addfile(tarfile.TarInfo("ant/1.jpg"))
    return stream.getvalue()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: image("PNG")[:33], "it is a PNG image, but damaged"),
        (lambda: image("GIF"), "it is a GIF image: convert it to PNG"),
        (lambda: image("JPEG2000"), "it is a JPEG 2000 image: convert it to PNG"),
        (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "it is a HEIC image: convert it to PNG"),
        (lambda: b"<!DOCTYPE html><html>404</html>", "it is a web page, not one of JPEG, PNG, WEBP, BMP, TIFF"),
        (lambda: b"version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer without its file"),
        (packed, "it is an archive, not one of"),
        (lambda: b"", "it is an empty file, not one of"),
        (lambda: b"something", "it is damaged, or not one of JPEG, PNG, WEBP, BMP, TIFF"),
    ],
)
def test_an_image_of_another_kind_than_its_name_says_is_named(
    tmp_path: Path, content: Callable[[], bytes], reason: str
) -> None:
    assert str(decode(write(tmp_path / "photo.jpg", content()), READING)).startswith(reason)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_an_image_of_a_kind_that_is_read_may_have_any_name(tmp_path: Path, kind: str) -> None:
    assert not isinstance(decode(write(tmp_path / "photo.jpg", image(kind)), READING), str)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (array, "is a single NumPy array, not an .npz file: give a folder with train_images.npy, or what numpy.savez"),
        (lambda: image("PNG"), "is a PNG image, not an .npz file: give a folder with train_images.npy"),
        (packed, "is an archive, not an .npz file: give a folder"),
        (lambda: b"\x89HDF\r\n", "is an HDF5 file, not an .npz file: give a folder"),
    ],
)
def test_what_is_given_for_arrays_and_is_none_is_named(
    tmp_path: Path, content: Callable[[], bytes], message: str
) -> None:
    with pytest.raises(UserError) as error:
        read_arrays(ArraysDataset(source="arrays", path=str(write(tmp_path / "data", content()))))
    assert message in str(error.value)


def test_a_folder_of_images_given_for_arrays_is_named(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "1.png")
    with pytest.raises(UserError, match=r"contains no \.npy files: .*; or write `source: folder` for image files"):
        read_arrays(ArraysDataset(source="arrays", path=str(tmp_path)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (array, "is a single NumPy array, not a CSV file: write `source: arrays` for arrays"),
        (arrays, "is an .npz file, not a CSV file: write `source: arrays` for arrays"),
        (packed, "is an archive, not a CSV file: unpack it and name its folder"),
        (lambda: tar("w"), "is an archive, not a CSV file: unpack it"),
        (lambda: tar("w:gz"), "is an archive, not a CSV file: unpack it"),
        (lambda: packed("xl/workbook.xml"), "is an Excel workbook, not a CSV file: save it as CSV UTF-8"),
        (lambda: image("JPEG"), "is a JPEG image, not a CSV file: name the folder that holds the images"),
    ],
)
def test_what_is_given_for_a_table_and_is_none_is_named(
    tmp_path: Path, content: Callable[[], bytes], message: str
) -> None:
    with pytest.raises(UserError) as error:
        next(read_lines(write(tmp_path / "data", content())))
    assert message in str(error.value)


def test_a_folder_with_only_unsupported_images_names_them(tmp_path: Path) -> None:
    for name in ("1.gif", "2.gif", "3.HEIC"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"contains no images \(.*\) but 2 \.gif, 1 \.heic: add some, or convert these"):
        find_images(tmp_path)


@pytest.mark.parametrize("text", ["path,label\na.png,cat\n", "BMI,path\n", "\ufeffpath\n", "II,path\n"])
def test_a_table_is_taken_for_nothing_else(tmp_path: Path, text: str) -> None:
    (tmp_path / "images.csv").write_text(text, encoding="utf-8")
    assert kind_of(tmp_path / "images.csv") is None


INSTRUMENTS = {
    "a.fits": (b"SIMPLE  =                    T", "convert it to .npy with astropy"),
    "a.dcm": (bytes(128) + b"DICM", "convert it to TIFF with pydicom"),
    "a.czi": (b"ZISRAWFILE", "convert it to OME-TIFF with Bio-Formats (bfconvert)"),
    "a.nd2": (b"\xda\xce\xbe\n", "convert it to OME-TIFF with Bio-Formats (bfconvert)"),
    "a.lif": (b"p\0\0\0", "convert it to OME-TIFF with Bio-Formats (bfconvert)"),
}


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_a_format_of_an_instrument_is_named_with_its_converter_wherever_it_is_met(tmp_path: Path, name: str) -> None:
    content, advice = INSTRUMENTS[name]
    PICTURE.save(tmp_path / "1.png")
    path = write(tmp_path / name, content)
    with pytest.raises(UserError) as among_images:
        find_images(tmp_path)
    with pytest.raises(UserError) as as_table:
        next(read_lines(path))
    with pytest.raises(UserError) as as_arrays:
        read_arrays(ArraysDataset(source="arrays", path=str(path)))
    refused = [str(decode(path, READING)), str(decode(write(tmp_path / "b.tif", content), READING))]
    said = [*(str(error.value) for error in (among_images, as_table, as_arrays)), *refused]
    assert all(advice in sentence for sentence in said), said
    assert all(str(path) in sentence for sentence in said[:3])


def test_npy_files_are_images_only_where_there_are_no_others(tmp_path: Path) -> None:
    for name in ("1.npy", "2.npy"):
        np.save(tmp_path / name, np.zeros((8, 8), np.uint8))
    assert find_images(tmp_path) == ["1.npy", "2.npy"]
    PICTURE.save(tmp_path / "1.png")
    assert find_images(tmp_path) == ["1.png"]
