"""What data sets of many images cost: the steps whose memory could grow with them, and the reading of long tables."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image
from torch import nn

from simclr_steps.data.fingerprints import fingerprints
from simclr_steps.data.image_folders import read_folder
from simclr_steps.data.image_index import index_folder
from simclr_steps.data.packed_writer import ImageSource
from simclr_steps.data.splits import assign_splits
from simclr_steps.settings.datasets import FolderDataset
from simclr_steps.settings.pretrain import PretrainSettings
from tests.benchmarks.commands import Cost, cost
from tests.benchmarks.data import STEP, write_network

SIDE = 8  # pixels
_FILES_PER_FOLDER = 1000


def wide_network(channels: int, image_size: tuple[int, int]) -> nn.Module:
    """Return a network that computes next to nothing; 2,048 features."""
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * SIDE * SIDE, 2048))


def costs(folder: Path, rows: int) -> Mapping[str, Cost]:
    """Run the steps that read or write a row for each of `rows` image files, with 2,048 features."""
    images, packed, parts = write_images(folder / "images", rows), folder / "packed", folder / "parts"
    encoder, settings = _write_encoder(folder / "encoder.safetensors"), settings_of(images).model_dump_json()
    embedded, split = folder / "embedded.parquet", f"--data={packed} --split=train".split()
    commands = {
        "prepare": ["--settings", settings, f"--out={packed}", "--workers=1"],
        "predict": [f"--model={encoder}", *split, f"--out={parts}", "--gpus=0"],
        "gather": [f"--parts={parts}", *split, f"--out={folder / 'features'}"],
        "embed": [f"--encoder={encoder}", f"--images={images}", f"--out={embedded}", "--gpus=0", "--workers=1"],
    }
    return {step: cost([*STEP, step, *options]) for step, options in commands.items()}


def settings_of(path: Path) -> FolderDataset:
    """Return the block of `datasets` for small gray images in a folder or a CSV file, all to be trained on."""
    return FolderDataset(
        source="folder", path=str(path), image_size=SIDE, channels=1, validation_fraction=0, test_fraction=0
    )


def write_images(folder: Path, count: int) -> Path:
    """Write small gray images, 1,000 in each folder."""
    image = _image()
    for first in range(0, count, _FILES_PER_FOLDER):
        place = folder / f"plate {first // _FILES_PER_FOLDER:04}"
        place.mkdir(parents=True, exist_ok=True)
        for number in range(first, min(count, first + _FILES_PER_FOLDER)):
            (place / f"{number:07}.png").write_bytes(image)
    return folder


def write_table(folder: Path, lines: int) -> Path:
    """Write a CSV file of images with labels and groups; its 1,000 files have many names, through links to a folder."""
    write_images(folder, _FILES_PER_FOLDER)
    (first,) = folder.iterdir()
    names = [file.name for file in first.iterdir()]
    table = folder / "table.csv"
    with table.open("w") as stream:
        stream.write("path,label,group\n")
        for number in range(lines // _FILES_PER_FOLDER):
            plate = f"plate {number:04}"
            if plate != first.name:
                (folder / plate).symlink_to(first.name)
            stream.writelines(f"{plate}/{name},class {row % 10},{plate}\n" for row, name in enumerate(names))
    return table


def seconds_of_fingerprint(path: Path) -> float:
    """Return the CPU seconds in which it is found out whether files have changed, as for each plan of a workflow."""
    return _cpu_seconds(lambda: fingerprints(settings_of(path)))


def seconds_of_listing(folder: Path) -> float:
    """Return the CPU seconds in which the images of a folder are found."""
    return _cpu_seconds(lambda: index_folder(folder))


def seconds_of_index(table: Path) -> float:
    """Return the CPU seconds in which a CSV file is read and each of its files is found."""
    return _cpu_seconds(lambda: read_folder(settings_of(table), 1))


def seconds_of_splits(table: Path) -> float:
    """Return the CPU seconds in which the images of a CSV file are split, groups whole."""
    source = read_folder(settings_of(table), 1)
    return _cpu_seconds(lambda: _split(source))


def _split(source: ImageSource) -> None:
    fractions = {"validation_fraction": 0.1, "test_fraction": 0.2}
    assign_splits(source.splits, source.labels, **fractions, subset=None, seed=0, groups=source.groups)


def _cpu_seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def _image() -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((SIDE, SIDE)).save(stream, "PNG")
    return stream.getvalue()


def _write_encoder(path: Path) -> Path:
    settings = PretrainSettings(encoder=f"{__name__}:{wide_network.__name__}")
    return write_network(path, settings, (SIDE, SIDE), 1)
