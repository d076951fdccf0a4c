"""Files in the formats of the originals are read as torchvision reads them."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import pytest
import scipy.io
import torchvision
from sklearn.datasets import load_digits

from simclr_steps.data.known_sets import IMAGE_SETS, Original
from simclr_steps.data.originals import Originals, read_originals
from simclr_steps.data.packed_writer import ImageSource
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import DigitsDataset
from simclr_steps.steps.download import download

RANDOM = np.random.default_rng(0)


PurePickler: Any = pickle._Pickler  # type: ignore[attr-defined,unused-ignore]


class Python2Pickler(PurePickler):  # type: ignore[misc]
    """Writes the opcodes that Python 2 wrote: byte strings for all strings, and NumPy's old module names."""

    dispatch: ClassVar[dict[Any, Any]] = dict(PurePickler.dispatch)

    def save_text(self, content: str | bytes) -> None:
        raw = content.encode("latin1") if isinstance(content, str) else content
        self.write(pickle.BINSTRING + struct.pack("<i", len(raw)) + raw)
        self.memoize(content)

    def save_global(self, content: Any, name: str | None = None) -> None:
        module = content.__module__.replace("numpy._core", "numpy.core")
        self.write(pickle.GLOBAL + f"{module}\n{content.__name__}\n".encode())
        self.memoize(content)

    dispatch[str] = dispatch[bytes] = save_text

    def save(self, content: Any, save_persistent_id: bool = True) -> None:
        if isinstance(content, type) or type(content).__name__ == "builtin_function_or_method":
            return self.save_global(content)
        super().save(content, save_persistent_id)
        return None


def pickled(content: Any) -> bytes:
    stream = io.BytesIO()
    Python2Pickler(stream, protocol=2).dump(content)
    return stream.getvalue()


def images(count: int, *shape: int) -> npt.NDArray[np.uint8]:
    return RANDOM.integers(0, 256, (count, *shape), dtype=np.uint8)


def write(folder: Path, content: dict[str, bytes]) -> tuple[Original, ...]:
    """Write files and return their entries for the catalog."""
    folder.mkdir(parents=True)
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return tuple(Original(name, hashlib.md5(data).hexdigest()) for name, data in content.items())


def cifar100_files() -> dict[str, bytes]:
    def batch(count: int) -> bytes:
        fine = RANDOM.integers(0, 100, count).tolist()
        return pickled(
            {
                "filenames": [f"image_{n}.png" for n in range(count)],
                "batch_label": "batch 1 of 1",
                "fine_labels": fine,
                "coarse_labels": [label // 5 for label in fine],
                "data": images(count, 3072),
            }
        )

    names = {"fine_label_names": [f"fine_{n}" for n in range(100)], "coarse_label_names": ["coarse"] * 20}
    return {"train": batch(30), "test": batch(10), "meta": pickled(names)}


def read_all(source: ImageSource) -> npt.NDArray[np.uint8]:
    return np.concatenate([part for _, part in source.read(np.arange(len(source.labels)))])


def assert_equals(source: ImageSource, split: str, pictures: Any, labels: Any) -> None:
    chosen = source.splits == split
    assert np.array_equal(read_all(source)[chosen], np.asarray(pictures))
    assert source.labels[chosen].tolist() == list(labels)


def torchvision_set(monkeypatch: pytest.MonkeyPatch, name: str, files: tuple[Original, ...]) -> Any:
    """Return torchvision's class, with the checksums of these files instead of the official ones."""
    kind = getattr(torchvision.datasets, name)
    checksums = {file.name: file.checksum for file in files}
    for part in ("train_list", "test_list"):
        monkeypatch.setattr(kind, part, [[file, checksums[file]] for file, _ in getattr(kind, part)])
    return kind


@pytest.mark.parametrize("packed", [False, True])
def test_cifar100_is_read_from_its_batches_and_from_its_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    content = cifar100_files()
    files = write(tmp_path / "cifar-100-python", content)
    archive = tmp_path / "cifar-100-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "cifar-100-python", "cifar-100-python")
    whole = Original(archive.name, hashlib.md5(archive.read_bytes()).hexdigest(), members=files)
    known = replace(IMAGE_SETS["CIFAR100"], originals=(whole,))
    paths = {file.name: tmp_path / "cifar-100-python" / file.name for file in files}

    kind = torchvision_set(monkeypatch, "CIFAR100", files)
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": files[2].checksum})
    theirs = [kind(tmp_path, train=train) for train in (True, False)]

    with Originals(known, {whole.name: archive} if packed else paths) as opened:
        ours = read_originals(opened)
        assert ours.classes == theirs[0].classes
        assert_equals(ours, "train", theirs[0].data, theirs[0].targets)
        assert_equals(ours, "test", theirs[1].data, theirs[1].targets)


@pytest.mark.parametrize("name", ["FashionMNIST", "KMNIST"])
def test_idx_files_are_read(tmp_path: Path, name: str) -> None:
    content = {}
    for part, count in (("train", 40), ("t10k", 12)):
        header, labels = struct.pack(">4I", 2051, count, 28, 28), RANDOM.integers(0, 10, count, dtype=np.uint8)
        content[f"{part}-images-idx3-ubyte"] = header + images(count, 28, 28).tobytes()
        content[f"{part}-labels-idx1-ubyte"] = struct.pack(">2I", 2049, count) + labels.tobytes()
    raw = tmp_path / name / "raw"
    write(raw, content)
    files = write(tmp_path / "gz", {f"{file}.gz": gzip.compress(data) for file, data in content.items()})
    theirs = [getattr(torchvision.datasets, name)(tmp_path, train=train) for train in (True, False)]

    known = replace(IMAGE_SETS[name], originals=files)
    with Originals(known, {file.name: tmp_path / "gz" / file.name for file in files}) as opened:
        ours = read_originals(opened)
        assert_equals(ours, "train", theirs[0].data[..., None], theirs[0].targets)
        assert_equals(ours, "test", theirs[1].data[..., None], theirs[1].targets)
    assert ours.classes == theirs[0].classes


def test_svhn_is_read_with_the_digit_0_as_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {}
    for name, count in (("train_32x32.mat", 25), ("test_32x32.mat", 11)):
        stream = io.BytesIO()
        labels = (1 + np.arange(count) % 10).astype(np.uint8)[:, None]
        scipy.io.savemat(cast(Any, stream), {"X": images(32, 32, 3, count), "y": labels})
        content[name] = stream.getvalue()
    files = write(tmp_path / "svhn", content)
    kind = torchvision.datasets.SVHN
    official = kind.split_list
    split_list = {
        split: [*official[split][:2], file.checksum] for split, file in zip(("train", "test"), files, strict=True)
    }
    monkeypatch.setattr(kind, "split_list", split_list)
    known = replace(IMAGE_SETS["SVHN"], originals=files)
    with Originals(known, {file.name: tmp_path / "svhn" / file.name for file in files}) as opened:
        ours = read_originals(opened)
        for split in ("train", "test"):
            theirs = kind(tmp_path / "svhn", split=split)
            assert_equals(ours, split, theirs.data.transpose(0, 2, 3, 1), theirs.labels)
    assert set(ours.labels) == set(range(10))


def test_stl10_brings_images_without_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def labels(count: int) -> bytes:
        return RANDOM.integers(1, 11, count, dtype=np.uint8).tobytes()

    content = {
        "train_X.bin": images(6, 3, 96, 96).tobytes(),
        "train_y.bin": labels(6),
        "test_X.bin": images(4, 3, 96, 96).tobytes(),
        "test_y.bin": labels(4),
        "unlabeled_X.bin": images(9, 3, 96, 96).tobytes(),
    }
    files = write(tmp_path / "stl10_binary", content)
    kind = torchvision_set(monkeypatch, "STL10", files)
    known = replace(IMAGE_SETS["STL10"], originals=(replace(IMAGE_SETS["STL10"].originals[0], members=files),))
    with Originals(known, {file.name: tmp_path / "stl10_binary" / file.name for file in files}) as opened:
        ours = read_originals(opened)
        for split, name in (("train", "train"), ("test", "test"), ("unlabeled", "unlabeled")):
            theirs = kind(tmp_path, split=name)
            assert_equals(ours, split, theirs.data.transpose(0, 2, 3, 1), theirs.labels)


def test_the_digits_are_those_of_scikit_learn(tmp_path: Path) -> None:
    download(DigitsDataset(source="digits"), folder=tmp_path, out=tmp_path / "list.json")
    with Originals(IMAGE_SETS["digits"], {"digits.csv.gz": tmp_path / "digits.csv.gz"}) as opened:
        ours = read_originals(opened)
        theirs = load_digits()
        assert_equals(ours, "train", np.rint(theirs.images * 255 / 16)[..., None], theirs.target)


def test_an_original_that_changed_since_download_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "digits.csv.gz").write_bytes(b"changed")
    with pytest.raises(UserError, match=r"digits\.csv\.gz is missing or has changed"):
        Originals(IMAGE_SETS["digits"], {"digits.csv.gz": tmp_path / "digits.csv.gz"})


class Intruder:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def test_bytes_of_another_checksum_are_never_unpickled(tmp_path: Path) -> None:
    """The file changes after it was opened and verified."""
    content = cifar100_files()
    files = write(tmp_path / "files", content)
    known = replace(IMAGE_SETS["CIFAR100"], originals=(Original("none.tar.gz", "", members=files),))
    opened = Originals(known, {file.name: tmp_path / "files" / file.name for file in files})
    (tmp_path / "files" / "train").write_bytes(pickle.dumps(Intruder(tmp_path / "trace")))
    with pytest.raises(UserError, match="train is not the original"):
        read_originals(opened)


def test_nothing_but_arrays_is_unpickled_even_from_verified_bytes(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    files = write(tmp_path / "files", {**cifar100_files(), "train": pickle.dumps(Intruder(trace))})
    known = replace(IMAGE_SETS["CIFAR100"], originals=(Original("none.tar.gz", "", members=files),))
    opened = Originals(known, {file.name: tmp_path / "files" / file.name for file in files})
    with pytest.raises(pickle.UnpicklingError, match="mkdir has no place"):
        read_originals(opened)
    assert not trace.exists()
