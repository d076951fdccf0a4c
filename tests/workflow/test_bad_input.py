"""Bad input stops a run with one sentence that names what to fix, and keeps what was done before."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.workflow.conftest import Project

Write = Callable[[str, str], Path]
NO_NETWORK = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "no_proxy": "127.0.0.1"}


def refuse(project: Project, target: str, *arguments: str, **environment: str) -> str:
    """Return the one sentence with which the run that fails explains itself."""
    [sentence] = failures(project, target, *arguments, **environment)
    return sentence


def failures(project: Project, target: str, *arguments: str, **environment: str) -> list[str]:
    """Return the sentences, one of each step that fails, with which the run explains itself."""
    done = project.forked_snakemake(target, "--cores", "2", *arguments, warm=True, **environment)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in said
    sentences = [line.partition("error: ")[2] for line in said.splitlines() if ": error: " in line]
    end = said.rpartition("Exiting because a job execution failed.")[2]
    assert all(f": {sentence} (logs/" in end for sentence in sentences)  # said once more where the user looks
    return sentences


def use_folder(project: Project, path: Path) -> None:
    project.config["datasets"]["digits"] = {"source": "folder", "path": str(path), "image_size": 8}
    project.write_config()


def use_arrays(project: Project, **arrays: Any) -> None:
    path = project.folder / "mine.npz"
    np.savez(path, **arrays)
    project.config["datasets"]["digits"] = {"source": "arrays", "path": str(path)}
    project.write_config()


@pytest.fixture
def photos(write_images: Write) -> Path:
    for number in range(4):
        write_images("cat", f"{number}.jpg")
        write_images("dog", f"{number}.jpg")
    return write_images("cat", "4.jpg").parents[1]


def test_images_among_the_results_are_refused_before_anything_runs(fresh: Project) -> None:
    (fresh.folder / "results/photos").mkdir(parents=True)
    fresh.config["datasets"]["digits"] = {"source": "folder", "path": "results/photos", "image_size": 8}
    fresh.write_config()
    done = fresh.forked_snakemake("--cores", "1")
    assert done.returncode == 1 and not (fresh.folder / "resources").exists()
    assert (
        'config error: datasets.digits.path: results/photos is in "results", where the workflow writes' in done.stderr
    )


def test_data_that_cannot_be_read_are_named_in_one_sentence_each_and_leave_nothing(
    fresh: Project, photos: Path, tmp_path: Path
) -> None:
    folders = {name: tmp_path / name for name in ("empty", "gap", "listed", "corrupt", "truncated")}
    for folder in folders.values():
        shutil.copytree(photos, folder)
    shutil.rmtree(folders["empty"])
    folders["empty"].mkdir()
    (folders["gap"] / "bird").mkdir()
    table = folders["listed"] / "table.csv"
    table.write_text("path,label,split\ncat/0.jpg,cat,train\ncat/nine.jpg,cat,train\n")
    (folders["corrupt"] / "dog/2.jpg").write_bytes(b"no image at all")
    image = folders["truncated"] / "dog/2.jpg"
    image.write_bytes(image.read_bytes()[:-200])
    arrays = {name: tmp_path / f"{name}.npz" for name in ("lengths", "types")}
    np.savez(arrays["lengths"], train_images=np.zeros((9, 8, 8), np.uint8), train_labels=np.zeros(8, np.int64))
    np.savez(arrays["types"], train_images=np.zeros((9, 8, 8), np.float64))
    paths = {**folders, "listed": table}
    fresh.config["datasets"] = {
        **{name: {"source": "folder", "path": str(path), "image_size": 8} for name, path in paths.items()},
        **{name: {"source": "arrays", "path": str(path)} for name, path in arrays.items()},
    }
    fresh.config["experiments"] = [{"dataset": name, "pretrain": "simclr"} for name in fresh.config["datasets"]]
    fresh.write_config()
    said = failures(fresh, "prepare_all", "--keep-going")
    expected = [
        f"{tmp_path}/empty contains no images (",
        f"{tmp_path}/gap/bird contains no images",
        f"{table} line 3 names cat/nine.jpg, which is missing",
        f"{tmp_path}/corrupt/dog/2.jpg is unreadable",
        f"{tmp_path}/truncated/dog/2.jpg is unreadable",
        "train_labels has shape (8,), but train_images has 9 images",
        "train_images is float64 but must be uint8",
    ]
    assert [[part in sentence for sentence in said].count(True) for part in expected] == [1] * len(said), said
    assert all("skip" in sentence for sentence in said if "unreadable" in sentence)
    assert not list((fresh.folder / "resources").glob("*/dataset.json"))


@pytest.fixture
def empty_mirror() -> Iterator[str]:
    """A web server that has nothing."""

    class Nothing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Nothing) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_download_without_network_from_an_empty_mirror_and_with_wrong_bytes(
    fresh: Project, empty_mirror: str, tmp_path: Path
) -> None:
    (tmp_path / "wrong").mkdir()
    with (tmp_path / "wrong/cifar-10-python.tar.gz").open("wb") as wrong:
        wrong.truncate(170_498_071)  # as large as the right one
    mirrors = [empty_mirror, (tmp_path / "wrong").as_uri()]
    fresh.config["datasets"]["digits"] = {"source": "torchvision", "name": "CIFAR10", "mirrors": mirrors}
    fresh.write_config()
    said = refuse(fresh, "download_all", **NO_NETWORK)
    assert [
        reason for reason in ("refused", "404", "checksum is wrong", "`mirrors`", "`path`") if reason not in said
    ] == []
    assert not list((fresh.folder / "resources").rglob("*.tar.gz"))


def test_local_originals_that_are_not_there(fresh: Project, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    fresh.config["datasets"]["digits"] = {"source": "torchvision", "name": "MNIST", "path": str(tmp_path / "mine")}
    fresh.write_config()
    assert "path: there is no train-images-idx3-ubyte.gz" in refuse(fresh, "download_all")


def test_full_disk_and_the_run_goes_on_when_there_is_room(fresh: Project) -> None:
    images = np.zeros((3000, 24, 24), np.uint8)
    use_arrays(fresh, train_images=images, train_labels=np.arange(3000) % 2)
    disk = fresh.folder / "resources"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        assert "the disk is full while writing" in refuse(fresh, "prepare_all")
        assert not list(disk.rglob("*.npy"))
        subprocess.run(["mount", "-o", "remount,size=9m", str(disk)], check=True)
        assert fresh.forked_snakemake("prepare_all", "--cores", "2", warm=True).returncode == 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_missing_data_requirements_are_reported_before_any_pretraining(fresh: Project, photos: Path) -> None:
    use_folder(fresh, photos)
    fresh.config["datasets"]["digits"]["validation_fraction"] = 0.3
    fresh.config["pretrains"]["simclr"]["global_batch_size"] = 2
    fresh.config["umap"]["split"] = "train"
    fresh.write_config()
    checked, from_scratch = sorted(failures(fresh, "all", "--keep-going"))
    assert checked.startswith("finetunes.pretrained.labels: 20 exceeds the 5 available labels")
    assert from_scratch.startswith("labels: 20 exceeds the 5 available labels"), "it waits for no pretraining's check"
    assert (fresh.folder / "resources/digits/dataset.json").exists()
    assert [file.name for file in (fresh.folder / "results/digits").iterdir()] == ["compare"]  # which needs no training
    assert not list((fresh.folder / "work").rglob("pretrain")), "beside which labels were looked at"


CANDIDATE = "results/digits/simclr/seed0/pretrain/best_loss.ckpt"


def test_truncated_checkpoint(project: Project) -> None:
    path = project.folder / CANDIDATE
    path.write_bytes(path.read_bytes()[:-1000])
    said = refuse(project, "select_all", "--forcerun", "select", "--config", "selection={criterion: knn}")
    assert said.startswith(CANDIDATE) and "run pretrain again" in said
    assert path.exists()


def test_checkpoint_of_another_architecture(project: Project) -> None:
    path = project.folder / CANDIDATE
    content = torch.load(path, weights_only=True)
    content["architecture"]["encoder"] = "resnet34"
    torch.save(content, path)
    (path.parent / "checksums.json").unlink()  # or it would be damaged
    said = refuse(project, "select_all", "--forcerun", "select", "--config", "selection={criterion: knn}")
    assert said.startswith(f"{CANDIDATE} does not match the requested architecture")


def test_damaged_encoder_keeps_the_pretraining(project: Project) -> None:
    encoder = project.folder / "results/digits/simclr/seed0/encoder/encoder.safetensors"
    encoder.write_bytes(encoder.read_bytes()[:-1000])
    assert "encoder.safetensors is damaged" in refuse(project, "evaluate_all")
    assert (project.folder / CANDIDATE).exists()


def test_more_gpus_than_there_are(project: Project) -> None:
    shutil.rmtree(project.folder / "results/digits/simclr/seed0/pretrain")
    said = refuse(project, "pretrain_all", "--set-resources", "pretrain:gpu=3", "--resources", "gpu=4")
    assert "--gpus 3 exceeds the 0 available GPUs" in said
