"""`simclr init` prints a config that fits the images, is valid, and needs no edit."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

from simclr_steps.commands.init import init
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.config import Config, read_config
from simclr_steps.settings.datasets import ArraysDataset, FolderDataset
from tests.integration.conftest import REPOSITORY
from tests.snakemake_runs import run_snakemake

Printed = Callable[[str], tuple[Config, str]]
RANDOM = np.random.default_rng(0)


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Printed:
    """Return a function that gives the config for a path in the working folder, on a machine without a GPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    def of(path: str) -> tuple[Config, str]:
        capfdbinary.readouterr()
        init(Path(path))
        text = capfdbinary.readouterr().out.decode()
        return read_config(yaml.safe_load(text)), text

    return of


def write(path: str, shape: tuple[int, ...] = (40, 60, 3)) -> None:
    """Write random pixels into a file and its folder into the working folder."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RANDOM.integers(0, 256, shape, dtype=np.uint8)).save(path)


def only_dataset(config: Config) -> Any:
    """Return the only data set, which the only experiment names."""
    [(name, dataset)] = config.datasets.items()
    assert [experiment.dataset for experiment in config.experiments] == [name]
    return dataset


def test_class_folders_give_fine_tunings_and_what_was_seen(printed: Printed) -> None:
    for number in range(60):
        write(f"photos/{'ant' if number % 3 else 'bee'}/plate{number % 6}_{number}.jpg", (100 + number, 200, 3))
    config, text = printed("photos")
    dataset = only_dataset(config)
    assert (dataset.path, dataset.image_size, dataset.channels, dataset.unreadable) == ("photos", 64, 3, "skip")
    assert list(config.datasets) == ["photos"] and config.experiments[0].finetunes == ["pretrained", "scratch"]
    assert config.pretrains["simclr"].stem == "imagenet"  # without a GPU
    assert "# Images: 60, of which 60 were opened and 40 of these decoded, evenly spread." in text
    assert "# Size: 100 × 200 to 159 × 200 pixels" in text
    assert "# Classes: 2: ant (40), bee (20)." in text
    assert "# Splits: train 38, validation 10, test 12 (validation, test drawn)." in text
    assert "no GPU" in text and "# Time: about" in text and "# Disk: about 0.7 MB" in text
    pattern = next(line for line in text.splitlines() if "group_pattern" in line)
    dataset = FolderDataset.model_validate({**dict(dataset), **yaml.safe_load(pattern.strip("# "))})
    assert dataset.group_pattern and "plate" in dataset.group_pattern


def test_images_without_labels_are_not_fine_tuned(printed: Printed) -> None:
    for number in range(12):
        write(f"photos/{number}.png", (28, 28))
    config, text = printed("photos")
    dataset = only_dataset(config)
    assert (dataset.image_size, dataset.channels, config.finetunes) == (28, 1, {})
    assert config.umap.split == "train"  # two images of test show nothing
    assert "# Classes: none" in text


def test_given_splits_are_kept(printed: Printed) -> None:
    for split in ("train", "val", "test"):
        for number in range(6):
            write(f"2024/{split}/{'ab'[number % 2]}/{number}.png")
    config, text = printed("2024")
    assert list(config.datasets) == ["2024"] and only_dataset(config).path == "2024"
    assert "# Splits: train 6, validation 6, test 6 (as given)." in text
    assert "validation_fraction" not in text


def test_a_table_brings_labels_groups_and_columns(printed: Printed) -> None:
    for number in range(24):
        write(f"images/{number}.png")
    lines = [f"images/{number}.png;{'xy'[number % 2]};g{number % 8};p{number % 3}" for number in range(24)]
    Path("t.csv").write_text("\n".join(["path;label;group;plate", *lines]))
    config, text = printed("t.csv")
    assert only_dataset(config).path == "t.csv" and config.finetunes
    assert "# Groups: 8: g0, g1, g2 and 5 more; each is in one split." in text
    assert "# Further columns: plate." in text


def test_a_table_with_boxes_gives_their_sizes(printed: Printed) -> None:
    write("field.png", (200, 200, 3))
    lines = [f"field.png,{number},{number},20,10" for number in range(50)]
    Path("t.csv").write_text("\n".join(["path,x,y,width,height", *lines, "field.png,0,0,20,10"]))
    with pytest.raises(UserError, match=r"line 2 and on line 52"):
        printed("t.csv")
    for name in "abcdef":
        write(f"{name}.png", (200, 200, 3))
    lines = [f"{name}.png,{number},0,20,10" for name in "abcdef" for number in range(5)]
    Path("t.csv").write_text("\n".join(["path,x,y,width,height", *lines]))
    config, text = printed("t.csv")
    assert only_dataset(config).image_size == (10, 20)
    assert "# Groups: 6" in text


def test_a_file_for_each_channel(printed: Printed) -> None:
    for name in "abcdefghijklmnop":
        for channel in ("DNA", "RNA"):
            tifffile.imwrite(f"{name}.{channel}.tif", RANDOM.integers(0, 4096, (40, 40), dtype=np.uint16))
    lines = [f"{name}.DNA.tif,{name}.RNA.tif" for name in "abcdefghijklmnop"]
    Path("cells.csv").write_text("\n".join(["path.DNA,path.RNA", *lines]))
    config, _ = printed("cells.csv")
    assert only_dataset(config).channels == ["DNA", "RNA"] and only_dataset(config).bits == 16
    assert config.pretrains["simclr"].augmentation.preset == "microscopy"


def test_deep_images_of_many_channels(printed: Printed) -> None:
    Path("cells").mkdir()
    for number in range(12):
        values = RANDOM.integers(0, 4096, (5, 48, 40), dtype=np.uint16)
        names = {"Name": ["DNA", "RNA", "ER", "on", "no"]}
        tifffile.imwrite(f"cells/{number}.ome.tif", values, metadata={"axes": "CYX", "Channel": names})
    config, text = printed("cells")
    dataset = only_dataset(config)
    assert (dataset.channels, dataset.bits) == (["DNA", "RNA", "ER", "on", "no"], 16)
    assert "# Values: 5 channels, uint16, nearly all from" in text


def test_an_npz_file_and_a_folder_of_arrays(printed: Printed) -> None:
    images = RANDOM.integers(0, 256, (40, 3, 96, 96), dtype=np.uint8)
    np.savez("x.npz", train_images=images, train_labels=np.arange(40) % 3)
    config, _ = printed("x.npz")
    dataset = only_dataset(config)
    assert isinstance(dataset, ArraysDataset) and dataset.layout == "NCHW"
    assert config.pretrains["simclr"].view_size == 64 and config.finetunes
    Path("stack").mkdir()
    np.save("stack/train_images.npy", images[:, 0, :32, :32].astype(np.float32))
    config, _ = printed("stack")
    assert only_dataset(config).bits == 16 and not config.finetunes


@pytest.mark.parametrize(
    "name", ["on", "1e4", "~", "~root", "null", "odd: # 'x'\n\"y\"\x07", "summary.x", "compare", "ä", "-"]
)
def test_names_of_every_kind_are_read_as_they_are(printed: Printed, name: str) -> None:
    for number in range(8):
        write(f"./{name}/{'on' if number % 2 else name}/{number}.png", (8, 8))
    config, _ = printed(f"./{name}")
    assert Path(only_dataset(config).path).samefile(f"./{name}")


def test_unreadable_images_are_named(printed: Printed) -> None:
    for number in range(10):
        write(f"photos/{number}.png")
    Path("photos/broken.png").write_bytes(b"\x89PNG\r\n")
    _, text = printed("photos")
    assert "# Unreadable: 1 of those opened, such as broken.png (it is a PNG image, but damaged)." in text


def test_a_pipe_is_not_waited_for(printed: Printed) -> None:
    os.mkfifo("pipe")
    with pytest.raises(UserError, match="pipe is a pipe, a socket or a device: give a folder of images"):
        printed("pipe")
    for number in range(10):
        write(f"photos/{number}.png")
    os.mkfifo("photos/pipe.png")
    _, text = printed("photos")
    assert "# Unreadable: 1 of those opened, such as pipe.png (it is not a regular file)." in text


def test_few_images_are_still_trained_on_but_not_one(printed: Printed) -> None:
    write("photos/0.png")
    with pytest.raises(UserError, match="too few images to train on and to judge by, 1 in all: add some"):
        printed("photos")
    for number in range(5):
        write(f"photos/{number}.png")
    config, _ = printed("photos")
    assert config.selection.criterion == "last" and only_dataset(config).validation_fraction == 0


def test_a_file_that_exists_is_not_replaced(printed: Printed, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for number in range(8):
        write(f"photos/{number}.png")
    init(Path("photos"), Path("new.yaml"))
    assert capfdbinary.readouterr().out.endswith(b": simclr run new.yaml\n")
    text = Path("new.yaml").read_text(encoding="utf-8")
    assert text.startswith("# SimCLR for photos. Edit what you like, and run it: simclr run new.yaml\n")
    assert only_dataset(read_config(yaml.safe_load(text))).path == "photos"
    Path("new.yaml").write_text("edited")
    with pytest.raises(UserError, match="--out: new.yaml exists and is not replaced: remove it first"):
        init(Path("photos"), Path("new.yaml"))
    with pytest.raises(UserError, match="nowhere does not exist"):
        init(Path("nowhere"), Path("other.yaml"))
    assert Path("new.yaml").read_text() == "edited" and not Path("other.yaml").exists()


def test_one_image_to_hold_out_chooses_nothing(printed: Printed) -> None:
    for split, count in (("train", 5), ("val", 1), ("test", 2)):
        for number in range(count):
            write(f"photos/{split}/a/{number}.png")
    assert printed("photos")[0].selection.criterion == "last"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "nowhere does not exist: give a folder of images"),
        ("empty", r"empty contains no images .*\.npy.*: add some"),
        ("bad", "bad/0.png is unreadable .*, and so is each image that was opened: fix or convert them"),
        ("bad/0.png", "bad/0.png is one image, and SimCLR needs many: give the folder that holds them"),
        ("zero.npz", r"zero.npz holds no images: train_images has the shape \(0, 16, 16, 1\)"),
        ("one.npy", "one.npy is a single NumPy array: put it as train_images.npy into a folder of its own"),
        ("caf\udce9", "the path is not valid UTF-8"),
        (".", 'datasets.* contains "benchmarks", where the workflow writes'),
        ("empty.csv", "empty.csv line 1 has no path column"),
    ],
)
def test_what_is_no_set_of_images_is_one_sentence(printed: Printed, path: str, message: str) -> None:
    Path("empty").mkdir()
    Path("bad").mkdir()
    for number in range(3):
        Path(f"bad/{number}.png").write_bytes(b"nothing")
    np.save("one.npy", np.zeros((4, 4)))
    np.savez("zero.npz", train_images=np.zeros((0, 16, 16, 1), np.uint8))
    Path("empty.csv").write_text("a,b\n1,2")
    if path == ".":
        for folder in ("empty", "bad"):
            for number in range(5):
                write(f"{folder}/{number}.png")
    with pytest.raises(UserError, match=message):
        printed(path)


def test_the_workflow_plans_all_stages(printed: Printed, tmp_path: Path) -> None:
    for number in range(60):
        write(f"photos/{'on' if number % 3 else 'off'}/{number}.jpg")
    (tmp_path / "my.yaml").write_text(printed("photos")[1], encoding="utf-8")
    arguments = ("--snakefile", str(REPOSITORY / "workflow/Snakefile"), "--configfile", "my.yaml", "--dry-run")
    planned = run_snakemake((*arguments, "--cores", "1", "--nocolor"), tmp_path, {"CUDA_VISIBLE_DEVICES": ""})
    assert planned.returncode == 0, planned.stdout + planned.stderr
    rules = ("prepare", "label", "pretrain", "select", "evaluate", "finetune", "predict_features", "umap", "summary")
    assert [rule for rule in rules if f"rule {rule}:" not in planned.stdout + planned.stderr] == []
