"""What a file is by its content, whatever its name, so that a message can say why it is not read."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

ARRAY = "a single NumPy array"
ARRAYS = "an .npz file"
ARCHIVE = "an archive"
WORKBOOK = "an Excel workbook"
EMPTY = "an empty file"
NO_FILE = "a pipe, a socket or a device"

_STARTS = {  # at these bytes
    b"\x93NUMPY": (0, ARRAY),
    b"\x1f\x8b": (0, ARCHIVE),
    b"BZh": (0, ARCHIVE),
    b"7z\xbc\xaf": (0, ARCHIVE),
    b"Rar!": (0, ARCHIVE),
    b"ustar": (257, ARCHIVE),
    b"GIF8": (0, "a GIF image"),
    b"\xff\xd8\xff": (0, "a JPEG image"),
    b"\x89PNG": (0, "a PNG image"),
    b"II*\0": (0, "a TIFF image"),
    b"MM\0*": (0, "a TIFF image"),
    b"II+\0": (0, "a TIFF image"),
    b"MM\0+": (0, "a TIFF image"),
    b"WEBP": (8, "a WebP image"),
    b"ftypavif": (4, "an AVIF image"),
    b"ftyphei": (4, "a HEIC image"),
    b"ftypmif1": (4, "a HEIC image"),
    b"jP  ": (4, "a JPEG 2000 image"),
    b"8BPS": (0, "a Photoshop image"),
    b"DICM": (128, "a DICOM image"),
    b"SIMPLE  =": (0, "a FITS image"),
    b"ZISRAWFILE": (0, "a CZI image"),
    b"\xda\xce\xbe\n": (0, "an ND2 image"),
    b"p\0\0\0": (0, "a LIF image"),
    b"<svg": (0, "an SVG drawing"),
    b"%PDF": (0, "a PDF document"),
    b"\x89HDF": (0, "an HDF5 file"),
    b"MATLAB": (0, "a MATLAB file"),
    b"<!DOCTYPE": (0, "a web page"),
    b"<html": (0, "a web page"),
    b"version https://git-lfs": (0, "a Git LFS pointer without its file"),
}
_BIO_FORMATS = "convert it to OME-TIFF with Bio-Formats (bfconvert)"
_CONVERTERS = {  # of instruments' own formats, which are not read, by what a file is and by its suffix
    ("a FITS image", ".fits"): "convert it to .npy with astropy (numpy.save of astropy.io.fits.getdata as float32)",
    ("a DICOM image", ".dcm"): "convert it to TIFF with pydicom (pydicom.dcmread, then tifffile.imwrite)",
    ("a CZI image", ".czi"): _BIO_FORMATS,
    ("an ND2 image", ".nd2"): _BIO_FORMATS,
    ("a LIF image", ".lif"): _BIO_FORMATS,
}


def converter_of(path: Path) -> str | None:
    """Return what converts an existing file of an instrument's own format, as a request; None for other files."""
    kind = kind_of(path)
    by_content = (advice for (known, _), advice in _CONVERTERS.items() if known == kind)
    return converter_by_name(path.name) or next(by_content, None)


def converter_by_name(name: str) -> str | None:
    """Return what converts a file of an instrument's own format, judging by its name."""
    return next((advice for (_, suffix), advice in _CONVERTERS.items() if name.lower().endswith(suffix)), None)


def kind_of(path: Path) -> str | None:
    """Return what an existing file is, as a noun with its article, or None if its content does not tell."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe would wait for a writer
        return NO_FILE
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        return EMPTY
    if start.startswith(b"PK\3\4"):
        return _kind_of_zip(path)
    return next((kind for mark, (place, kind) in _STARTS.items() if start[place:].startswith(mark)), None)


def _kind_of_zip(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # what is cut or damaged can make zipfile fail in any way
        return WORKBOOK if path.suffix.lower() == ".xlsx" else None
    if any(name.endswith(".npy") for name in names):
        return ARRAYS
    return WORKBOOK if "xl/workbook.xml" in names else ARCHIVE
