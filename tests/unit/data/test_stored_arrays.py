from __future__ import annotations

import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simclr_steps.data.numpy_files import read_arrays
from simclr_steps.machine.errors import UserError
from tests.unit.data.test_numpy_files import GOOD, block, images, store


@pytest.mark.parametrize("kind", ["npz", "npy"])
def test_a_file_that_was_cut_short_is_named(tmp_path: Path, kind: str) -> None:
    store(tmp_path, kind, **GOOD)
    file = tmp_path / ("data.npz" if kind == "npz" else "train_images.npy")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match=f"^path: {file} contains no intact arrays"):
        read_arrays(block(file if kind == "npz" else tmp_path))


def test_a_damaged_byte_in_an_npz_file_is_found(tmp_path: Path) -> None:
    file = store(tmp_path, "npz", train_images=images(50, 32, 32))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    source = read_arrays(block(file))
    with pytest.raises(UserError, match="contains no intact arrays"):
        list(source.read(np.arange(50)))


def test_whatever_byte_of_an_npz_file_is_damaged_nothing_but_a_user_error_is_raised(tmp_path: Path) -> None:
    file = store(tmp_path, "npz", train_images=images(4, 5, 7), train_labels=np.arange(4))
    content = file.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        file.write_bytes(damaged)
        with suppress(UserError):  # what is no part of the arrays may be wrong unnoticed
            list(read_arrays(block(file)).read(np.arange(4)))


def archive(path: Path, header: dict[str, Any], *names: str) -> Path:
    """Write an .npz file of arrays of 140 bytes whose headers say something."""
    with zipfile.ZipFile(path, "w") as written:
        for name in names:
            with written.open(f"{name}.npy", "w") as stream:
                np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, **header})
                stream.write(bytes(140))
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_npz_file_that_is_encrypted_or_names_an_array_twice_or_lies_in_a_header_is_named(tmp_path: Path) -> None:
    twice = archive(tmp_path / "twice.npz", {"shape": (4, 5, 7)}, "train_images", "train_images")
    with pytest.raises(UserError, match='^path: .*twice.npz contains the array "train_images" twice'):
        read_arrays(block(twice))
    lies = archive(tmp_path / "lies.npz", {"shape": (1 << 50, 5, 7)}, "train_images")
    with pytest.raises(UserError, match="^path: .*lies.npz contains no intact arrays.*but 140 bytes follow"):
        read_arrays(block(lies))
    encrypted = archive(tmp_path / "secret.npz", {"shape": (4, 5, 7)}, "train_images")
    content = bytearray(encrypted.read_bytes())
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + flags] |= 1
    encrypted.write_bytes(content)
    with pytest.raises(UserError, match="^path: .*secret.npz contains no intact arrays.*is encrypted"):
        read_arrays(block(encrypted))


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.npz does not exist"):
        read_arrays(block(tmp_path / "absent.npz"))
