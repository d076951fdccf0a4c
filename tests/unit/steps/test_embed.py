"""New images get the features that the workflow would have given them."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tifffile
import torch
from PIL import Image

from simclr_steps.data.scaling import scale
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder, load_network, save_network
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.datasets import FolderDataset
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.steps.embed import embed
from simclr_steps.steps.export import export
from simclr_steps.steps.predict import predict
from tests.unit.conftest import WriteEncoder, digits
from tests.unit.packing import pack_and_label
from tests.unit.settings.test_image_format import of

CPU = Hardware(gpus=0, workers=1)
ROOT = Path(__file__).parents[3]
OWN = "tests.own_encoders:without_batch_norm"
NAMES = ["a.jpg", "b/deep/clear.webp", "b/gray.png"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of images of several sizes, modes and formats, at several depths, and a file that is no image."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    folder = tmp_path / "photos"
    (folder / "b" / "deep").mkdir(parents=True)
    Image.fromarray(noise).save(folder / "a.jpg")
    Image.fromarray(noise[:20]).convert("L").save(folder / "b" / "gray.png")
    Image.fromarray(noise[:, :9]).convert("RGBA").save(folder / "b" / "deep" / "clear.webp")
    (folder / "notes.txt").write_text("no image")
    return folder


def write_network(path: Path, encoder: str, *, image_size: int, view_size: int | None = None) -> Path:
    head = ProjectionHead(hidden_size=8, output_size=4)
    settings = PretrainSettings(encoder=encoder, view_size=view_size, projection_head=head)
    save_network(path, Encoder(resolve(settings, ImageFormat.of_8_bits((image_size, image_size), 3))))
    return path


def features_of(table: Path) -> tuple[list[str], np.ndarray]:
    rows = pd.read_parquet(table)
    return list(rows["path"]), np.stack(list(rows["features"]))


@pytest.mark.parametrize(
    ("encoder", "view_size"), [("resnet18", None), (OWN, 24), ("timm:test_vit", 32), ("timm:test_resnet", None)]
)
def test_features_are_those_that_prepare_and_predict_make_of_the_same_files(
    photos: Path, tmp_path: Path, encoder: str, view_size: int | None
) -> None:
    model = write_network(tmp_path / "encoder.safetensors", encoder, image_size=16, view_size=view_size)
    embed(model, images=photos, out=tmp_path / "features.parquet", hardware=CPU)
    (tmp_path / "list.csv").write_text("path\n" + "".join(f"photos/{n}\n" for n in NAMES))
    block = FolderDataset(
        source="folder", path=str(tmp_path / "list.csv"), image_size=16, validation_fraction=0, test_fraction=0
    )
    pack_and_label(block, tmp_path / "data")
    predict(model, data=tmp_path / "data", split="train", out=tmp_path / "parts", hardware=CPU)
    names, features = features_of(tmp_path / "features.parquet")
    expected = np.load(tmp_path / "parts" / "part-0.features.npy")
    assert names == NAMES and features.dtype == np.float32
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(features[0] - features[1]).max() > 1e-3


def test_digits_saved_as_files_have_the_features_of_the_packed_digits(
    write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    images, _ = digits(5)
    for number, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{number}.png")
    embed(write_encoder(), images=tmp_path, out=tmp_path / "features.parquet", hardware=CPU)
    with torch.no_grad():
        expected, _ = load_network(write_encoder())(torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(features_of(tmp_path / "features.parquet")[1], expected, rtol=1e-4, atol=1e-5)


def test_images_are_scaled_to_the_range_that_the_encoder_was_trained_with(
    write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    form = of(1, bits=16, value_range=[(10, 200)], height=8, width=8)
    images, _ = digits(5)
    for number, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{number}.png")
    model = write_encoder(image_format=form)
    embed(model, images=tmp_path, out=tmp_path / "features.parquet", hardware=CPU)
    expected, _ = compute_features(load_network(model), scale(images, form), torch.device("cpu"))
    np.testing.assert_allclose(features_of(tmp_path / "features.parquet")[1], expected, rtol=1e-4, atol=1e-5)


def test_values_outside_the_range_of_the_encoder_are_counted_and_said_once(
    write_encoder: WriteEncoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    model = write_encoder(image_format=of(1, dtype="uint16", value_range=[(100, 4095)], height=8, width=8))
    folder = tmp_path / "fields"
    folder.mkdir()
    for number in range(70):  # enough for two processes
        field = np.full((8, 8), 300, dtype=np.uint16)
        field[:2] = 4000 + number % 7 * 20  # beyond the range in two of seven
        tifffile.imwrite(folder / f"{number:02}.tif", field)
    embed(model, images=folder, out=tmp_path / "features.parquet", hardware=CPU)
    (told,) = [line for line in caplog.messages if "saturate" in line]
    assert told.startswith("20 of 70 images have values outside the range that the encoder was trained with (7.1 % of")
    assert not [line for line in caplog.messages if line.startswith("warning")]
    caplog.clear()
    for path in folder.iterdir():
        tifffile.imwrite(path, np.arange(64, dtype=np.uint16).reshape(8, 8))  # of an 8-bit camera
    embed(model, images=folder, out=tmp_path / "features.parquet", hardware=CPU)
    (told,) = [line for line in caplog.messages if line.startswith("warning")]
    assert "100.0 % of the pixels of channel 0 lie outside its range, 100 to 4095: they are 0 to 63" in told
    assert told.endswith("give images of the kind that the encoder was trained on")


def test_of_many_unreadable_images_the_first_are_named_and_all_are_listed(
    photos: Path, write_encoder: WriteEncoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(30):
        (photos / f"cut{number:02}.png").write_bytes(b"damaged")
    out = tmp_path / "features.parquet"
    embed(write_encoder(channels=3), images=photos, out=out, hardware=CPU)
    told = [line for line in caplog.messages if line.startswith("skipped")]
    assert len(told) == 6 and told[5] == "skipped more images, which are counted at the end"
    assert "30 unreadable images have no row: the table's metadata list them as skipped" in caplog.messages
    listed = json.loads(pq.read_metadata(out).metadata[b"simclr"])["skipped"]
    assert listed == [f"cut{number:02}.png" for number in range(30)]


def test_images_of_another_depth_are_refused(photos: Path, write_encoder: WriteEncoder, tmp_path: Path) -> None:
    model = write_encoder(image_format=of(3, dtype="uint16", bits=16))
    with pytest.raises(UserError, match="none of the 3 images in .* is readable"):
        embed(model, images=photos, out=tmp_path / "features.parquet", hardware=CPU)


def test_command_names_what_is_unreadable_and_records_what_it_did(
    photos: Path, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    (photos / "b" / "cut.png").write_bytes(b"damaged")
    model, out = write_encoder(channels=3), tmp_path / "new" / "features.parquet"
    options = ["--encoder", model, "--images", photos, "--out", out, "--gpus", "0"]
    command = [sys.executable, "-m", "simclr_steps", "embed", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert f"skipped {photos}/b/cut.png: it is damaged, or not one of JPEG, PNG, WEBP, BMP, TIFF" in done.stderr
    assert "16 features for each of 3 images" in done.stderr
    assert features_of(out)[0] == NAMES
    facts = json.loads(pq.read_metadata(out).metadata[b"simclr"])
    assert facts["skipped"] == ["b/cut.png"] and facts["encoder"] == str(model)
    assert facts["run"]["step"] == "embed" and facts["run"]["versions"]["torch"]
    assert [file.name for file in out.parent.iterdir()] == [out.name]


def test_an_image_of_another_depth_than_the_encoder_was_trained_on_has_no_row(
    photos: Path, write_encoder: WriteEncoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Image.fromarray(np.full((20, 20), 4095, dtype=np.uint16)).save(photos / "deep.png")
    embed(write_encoder(channels=3), images=photos, out=tmp_path / "features.parquet", hardware=CPU)
    assert features_of(tmp_path / "features.parquet")[0] == NAMES
    assert "deep.png: its values are uint16, but the encoder was trained on uint8" in caplog.text


def test_a_csv_file_lists_the_images_and_their_order(photos: Path, write_encoder: WriteEncoder, tmp_path: Path) -> None:
    (photos / "some.csv").write_text("path,taken\nb/gray.png,May\na.jpg,June\n")
    embed(write_encoder(channels=3), images=photos / "some.csv", out=tmp_path / "features.parquet", hardware=CPU)
    assert features_of(tmp_path / "features.parquet")[0] == ["b/gray.png", "a.jpg"]


def test_a_csv_file_may_list_a_file_for_each_channel_that_the_encoder_names(
    write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (2, 3, 8, 8), dtype=np.uint16)
    lines = ["path.A,path.B,well,path.C"]
    for number, planes in enumerate(values):
        for name, plane in zip("ABC", planes, strict=True):
            tifffile.imwrite(tmp_path / f"{name}{number}.tif", plane)
        lines.append(f"A{number}.tif,B{number}.tif,x,C{number}.tif")
    (tmp_path / "list.csv").write_text("\n".join([*lines, "cut.tif,B1.tif,x,cut.tif"]))
    (tmp_path / "cut.tif").write_bytes(b"damaged")
    ranges = [(0, 4095), (50, 4000)]
    form = of(2, dtype="uint16", height=8, width=8, value_range=ranges, channel_names=["C", "A"])
    model = write_encoder(image_format=form)
    embed(model, images=tmp_path / "list.csv", out=tmp_path / "features.parquet", hardware=CPU)
    names, features = features_of(tmp_path / "features.parquet")
    chosen = values[:, [2, 0]].transpose(0, 2, 3, 1).astype(np.float32)
    expected, _ = compute_features(load_network(model), scale(chosen, form), torch.device("cpu"))
    assert names == ["C0.tif", "C1.tif"]
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    other = write_encoder(image_format=form.model_copy(update={"channel_names": ["C", "D"]}))
    with pytest.raises(UserError, match='has no column "path.D"'):
        embed(other, images=tmp_path / "list.csv", out=tmp_path / "features.parquet", hardware=CPU)


def test_single_cells_of_new_fields_have_the_features_that_prepare_and_predict_make_of_their_boxes(
    write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    values = np.random.default_rng(0)
    for name in ("f.tif", "g.tif"):
        tifffile.imwrite(tmp_path / name, values.integers(300, 4096, (60, 80), dtype=np.uint16), tile=(16, 16))
    cells = ["f.tif,0,0,8,8", "g.tif,70,50,10,10", "f.tif,30,41,20,12"]
    (tmp_path / "cells.csv").write_text("\n".join(["path,x,y,width,height", *cells]))
    block = FolderDataset(
        source="folder",
        path=str(tmp_path / "cells.csv"),
        image_size=8,
        channels=1,
        validation_fraction=0,
        test_fraction=0,
    )
    described = pack_and_label(block, tmp_path / "data")
    model = write_encoder(image_format=described.image_format)
    embed(model, images=tmp_path / "cells.csv", out=tmp_path / "features.parquet", hardware=CPU)
    predict(model, data=tmp_path / "data", split="train", out=tmp_path / "parts", hardware=CPU)
    names, features = features_of(tmp_path / "features.parquet")
    np.testing.assert_allclose(features, np.load(tmp_path / "parts" / "part-0.features.npy"), rtol=1e-4, atol=1e-5)
    packed = pd.read_parquet(tmp_path / "data/train.rows.parquet")
    of_part = ["parent", "x", "y", "width", "height"]
    written = pd.read_parquet(tmp_path / "features.parquet")
    assert written[of_part].to_numpy().tolist() == packed[of_part].to_numpy().tolist()
    assert names == packed["source"].tolist() and names[2] == "g.tif#x=70,y=50,w=10,h=10"


@pytest.mark.usefixtures("in_processes_at_once")
def test_processes_and_batches_change_nothing(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(70):
        Image.new("RGB", (9, 9), (3 * number, 100, 50)).save(photos / f"{number:02}.png")
    model = write_network(tmp_path / "encoder.safetensors", OWN, image_size=8)
    embed(model, images=photos, out=tmp_path / "one.parquet", hardware=CPU)
    monkeypatch.setattr("simclr_steps.steps.embed.images_at_a_time", lambda _: 32)
    embed(model, images=photos, out=tmp_path / "two.parquet", hardware=Hardware(gpus=0, workers=2))
    (names, one), (again, two) = (features_of(tmp_path / f"{name}.parquet") for name in ("one", "two"))
    assert names == again and len(names) == 73
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_mistakes_are_named_and_leave_an_earlier_table_alone(write_encoder: WriteEncoder, tmp_path: Path) -> None:
    model, out, images = write_encoder(), tmp_path / "features.parquet", tmp_path / "images"
    out.write_text("earlier")
    with pytest.raises(UserError, match="--images: .*images does not exist: give a folder of images or a CSV file"):
        embed(model, images=images, out=out, hardware=CPU)
    images.mkdir()
    with pytest.raises(UserError, match="images contains no images"):
        embed(model, images=images, out=out, hardware=CPU)
    (images / "cut.png").write_bytes(b"damaged")
    with pytest.raises(UserError, match="none of the 1 images in .* is readable"):
        embed(model, images=images, out=out, hardware=CPU)
    assert out.read_text() == "earlier"
    with pytest.raises(UserError, match="--out: .*images is a folder: give the name of a file"):
        embed(model, images=images, out=images, hardware=CPU)


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_the_suffix_of_out_says_what_is_written(
    photos: Path, write_encoder: WriteEncoder, tmp_path: Path, suffix: str
) -> None:
    (photos / "cut.png").write_bytes(b"damaged")
    model, out = write_encoder(channels=3), tmp_path / f"features{suffix}"
    for file in (out, tmp_path / "features.parquet"):
        embed(model, images=photos, out=file, hardware=CPU)
    if suffix == ".npz":
        with np.load(out) as arrays:
            names, features, facts = list(arrays["path"]), arrays["features"], json.loads(str(arrays["simclr"]))
    else:
        table = pd.read_csv(out)
        names, features = list(table["path"]), table[[f"features_{k}" for k in range(16)]].to_numpy()
        facts = json.loads((tmp_path / "features.csv.json").read_text())
    assert names == NAMES and facts["skipped"] == ["cut.png"] and facts["run"]["step"] == "embed"
    np.testing.assert_allclose(features, features_of(tmp_path / "features.parquet")[1], rtol=1e-6)


def test_another_suffix_is_an_error_before_anything_is_read(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"images": tmp_path / "no", "hardware": CPU}
    with pytest.raises(UserError, match=r"^--out: .*o\.txt ends in none of \.parquet, \.csv, \.npz"):
        embed(tmp_path / "no", out=tmp_path / "o.txt", **nothing)


@pytest.mark.parametrize("trained", ["0" * 16, None])
def test_own_code_that_is_not_that_of_the_training_is_not_run_unless_it_is_trusted(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: str | None
) -> None:
    shutil.copy(ROOT / "tests/own_encoders.py", tmp_path / "changed.py")
    monkeypatch.chdir(tmp_path)
    network = load_network(write_network(tmp_path / "encoder.safetensors", "changed:with_batch_norm", image_size=8))
    network.architecture = network.architecture.model_copy(update={"own_code_hash": trained})
    save_network(tmp_path / "encoder.safetensors", network)
    sys.modules.pop("changed")
    assert_imported_only_if_trusted("changed", r"calls changed:with_batch_norm, .* with --trust changed$", photos)


def test_code_outside_the_working_folder_is_not_run_unless_it_is_trusted(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(ROOT / "tests/own_encoders.py", tmp_path / "elsewhere/installed.py")
    monkeypatch.chdir(tmp_path / "elsewhere")
    write_network(tmp_path / "encoder.safetensors", "installed:with_batch_norm", image_size=8)
    sys.modules.pop("installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    assert_imported_only_if_trusted("installed", r"no file of installed in .* with --trust installed", photos)


def assert_imported_only_if_trusted(module: str, refusal: str, photos: Path) -> None:
    """Embed images by the encoder of the working folder, which calls a function of a module, without trust and with."""
    encoder = Path("encoder.safetensors")
    where: dict[str, Any] = {"images": photos, "out": Path("features.parquet"), "hardware": Hardware(gpus=0)}
    with pytest.raises(UserError, match=refusal):
        embed(encoder, **where)
    assert module not in sys.modules
    embed(encoder, trust=module, **where)
    assert module in sys.modules


@pytest.mark.parametrize("bits", [8, 16])
def test_one_16_bit_file_has_the_same_features_by_the_encoder_by_embed_and_by_onnx(
    bits: int, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    form = of(
        5, dtype="uint16", bits=bits, height=8, width=8, value_range=[(150 * c, 4095 - 300 * c) for c in range(5)]
    )
    values = np.random.default_rng(0).integers(0, 4096, (3, 5, 8, 8), dtype=np.uint16)
    (tmp_path / "cells").mkdir()
    for number, planes in enumerate(values):
        tifffile.imwrite(tmp_path / f"cells/{number}.tif", planes, photometric="minisblack")
    model = write_encoder(image_format=form)
    embed(model, images=tmp_path / "cells", out=tmp_path / "features.parquet", hardware=CPU)
    raw = values.transpose(0, 2, 3, 1).astype(np.float32)
    expected, _ = compute_features(load_network(model), scale(raw, form), torch.device("cpu"))
    export(model, out=tmp_path / "encoder.onnx")
    (by_onnx,) = onnxruntime.InferenceSession(tmp_path / "encoder.onnx").run(None, {"images": raw})
    for found in (features_of(tmp_path / "features.parquet")[1], by_onnx):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
