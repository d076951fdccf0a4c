from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.data import known_sets
from simclr_steps.data.known_sets import ImageSet, Original
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.datasets import DigitsDataset, FolderDataset, TorchvisionDataset
from simclr_steps.steps import download


def originals(name: str) -> Path:
    folder = os.environ.get("SIMCLR_TEST_DATA")
    if folder is None:
        pytest.skip("SIMCLR_TEST_DATA names no folder with the real files")
    found = [path for path in Path(folder).rglob(name) if path.is_file()]
    return found[0].parent


def dataset(name: str, **changed: Any) -> TorchvisionDataset:
    return TorchvisionDataset.model_validate({"source": "torchvision", "name": name, **changed})


def run(block: Any, tmp_path: Path) -> Any:
    download.download(block, folder=tmp_path / "originals", out=tmp_path / "originals.json")
    return json.loads((tmp_path / "originals.json").read_text())


@pytest.fixture
def two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make KMNIST a set of two small files, which lie in the returned folder and nowhere else."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    files = []
    for name in ("one.gz", "two.gz"):
        (folder / name).write_bytes(name.encode() * 100)
        files.append(Original(name, hashlib.md5(name.encode() * 100).hexdigest()))
    known = ImageSet("idx", tuple(files), {}, folder="KMNIST/raw")
    monkeypatch.setitem(known_sets.IMAGE_SETS, "KMNIST", known)
    monkeypatch.setitem(download.OFFICIAL_ADDRESSES, "KMNIST", [(tmp_path / "official").as_uri() + "/"])
    return folder


def test_the_digits_need_no_network(tmp_path: Path) -> None:
    manifest = run(DigitsDataset(source="digits"), tmp_path)
    (file,) = manifest["files"]
    path = Path(file["path"])
    assert path == tmp_path / "originals" / "digits.csv.gz"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
    assert path.stat().st_size == file["size"]
    assert manifest["dataset"] == "digits"
    assert manifest["run"]["step"] == "download"


def test_a_mirror_is_asked_for_what_the_official_address_lacks(two_files: Path, tmp_path: Path) -> None:
    official = tmp_path / "official"
    official.mkdir()
    shutil.copy(two_files / "one.gz", official)
    (two_files / "one.gz").unlink()
    manifest = run(dataset("KMNIST", mirrors=[two_files.as_uri()]), tmp_path)
    assert [file["name"] for file in manifest["files"]] == ["one.gz", "two.gz"]
    assert all(Path(file["path"]).is_file() for file in manifest["files"])


def test_without_any_address_that_works_nothing_is_listed(two_files: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one.gz could not be downloaded"):
        run(dataset("KMNIST"), tmp_path)
    assert not (tmp_path / "originals.json").exists()


@pytest.mark.parametrize("place", [".", "KMNIST/raw"])
def test_originals_below_path_are_used_where_they_are(two_files: Path, tmp_path: Path, place: str) -> None:
    shutil.copytree(two_files, tmp_path / "mine" / place)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "mine").rglob("*")}
    manifest = run(dataset("KMNIST", path=str(tmp_path / "mine")), tmp_path)
    assert [file["path"] for file in manifest["files"]] == [
        str(tmp_path / "mine" / place / name) for name in ("one.gz", "two.gz")
    ]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "mine").rglob("*")} == before
    assert not (tmp_path / "originals").exists()


def test_a_changed_original_below_path_is_named_and_left_alone(two_files: Path, tmp_path: Path) -> None:
    (two_files / "two.gz").write_bytes(b"changed")
    with pytest.raises(UserError, match=r"^path: .*two\.gz is not the original"):
        run(dataset("KMNIST", path=str(two_files)), tmp_path)
    assert (two_files / "two.gz").read_bytes() == b"changed"
    assert not (tmp_path / "originals.json").exists()


def test_a_missing_original_below_path_is_named(two_files: Path, tmp_path: Path) -> None:
    (two_files / "two.gz").unlink()
    with pytest.raises(UserError, match=r"^path: there is no two\.gz in "):
        run(dataset("KMNIST", path=str(two_files)), tmp_path)


def test_an_archive_is_taken_whole_before_its_members(
    two_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, member = (known_sets.IMAGE_SETS["KMNIST"].originals[n] for n in (0, 1))
    packed = replace(archive, members=(member,))
    monkeypatch.setitem(known_sets.IMAGE_SETS, "KMNIST", replace(known_sets.IMAGE_SETS["KMNIST"], originals=(packed,)))
    block = dataset("KMNIST", path=str(two_files))
    assert [file["name"] for file in run(block, tmp_path)["files"]] == ["one.gz"]
    (two_files / "one.gz").write_bytes(b"damaged")
    assert [file["name"] for file in run(block, tmp_path)["files"]] == ["two.gz"]


def test_an_archive_may_lie_unpacked(tmp_path: Path) -> None:
    folder = originals("data_batch_1")
    manifest = run(dataset("CIFAR10", path=str(folder.parent)), tmp_path)
    names = {file["name"] for file in manifest["files"]}
    assert names == {*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta"}
    assert run(dataset("CIFAR10", path=str(folder)), tmp_path)["files"] == manifest["files"]


def test_an_incomplete_unpacked_archive_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    shutil.copy(originals("data_batch_1") / "batches.meta", tmp_path / "mine")
    with pytest.raises(UserError, match=r"neither cifar-10-python\.tar\.gz nor all of data_batch_1"):
        run(dataset("CIFAR10", path=str(tmp_path / "mine")), tmp_path)


def test_a_folder_needs_no_download(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs no download"):
        run(FolderDataset(source="folder", path=".", image_size=8), tmp_path)
