"""A search finds the images with the most similar features, and refuses features of another encoder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tifffile
import torch
from PIL import Image

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
from simclr_steps.networks.encoders import load_network
from simclr_steps.networks.features import compute_features
from simclr_steps.steps.embed import embed
from simclr_steps.steps.gather import gather
from simclr_steps.steps.predict import predict
from simclr_steps.steps.search import search
from simclr_steps.steps.tabulate import tabulate
from tests.unit.conftest import WriteEncoder, digits
from tests.unit.settings.test_image_format import of

CPU = Hardware(gpus=0, workers=1)


def write_digits(folder: Path, count: int, first: int = 0) -> list[Path]:
    folder.mkdir()
    for number, image in enumerate(digits(count, first)[0]):
        Image.fromarray(image[..., 0]).save(folder / f"{number:03}.png")
    return sorted(folder.iterdir())


def cosines(encoder: Path, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cosine of each two images, in float64: [N, H, W, C] and [M, H, W, C] to [N, M]."""
    parts = []
    for images in (first, second):
        features = compute_features(load_network(encoder), images, torch.device("cpu"))[0].astype(np.float64)
        parts.append(features / np.linalg.norm(features, axis=1, keepdims=True))
    return np.asarray(parts[0] @ parts[1].T)


def test_the_most_similar_files_of_embed_are_found_exactly_in_blocks(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simclr_steps.data.feature_tables.ROWS_AT_A_TIME", 7)
    files, asked = write_digits(tmp_path / "digits", 40), write_digits(tmp_path / "asked", 2, 100)
    embed(encoder, images=tmp_path / "digits", out=tmp_path / "f.parquet", hardware=CPU)
    files[3].unlink()  # its picture is no longer there
    out = tmp_path / "out" / "found.csv"
    given: dict[str, Any] = {"features": tmp_path / "f.parquet", "image": [*asked, files[5]]}
    search(encoder, **given, n=5, out=out, hardware=CPU)
    found = pd.read_csv(out)
    expected = cosines(encoder, digits(2, 100)[0], digits(40)[0])
    for query, similar in zip(asked, expected, strict=True):
        rows = found[found["image"] == str(query)]
        best = np.argsort(-similar, kind="stable")[:5]
        assert list(rows["rank"]) == [1, 2, 3, 4, 5]
        assert list(rows["path"]) == [f"{row:03}.png" for row in best]
        np.testing.assert_allclose(rows["cosine"], similar[best], atol=1e-6)
    assert tuple(found.iloc[10][["rank", "path"]]) == (1, "005.png") and found.iloc[10]["cosine"] == pytest.approx(1)
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    assert page.count("<figure") == 18 and page.count("data:image/") == 18 - page.count("no picture")
    search(encoder, **given, n=50, out=tmp_path / "found.parquet", hardware=CPU)
    whole = pd.read_parquet(tmp_path / "found.parquet")
    assert len(whole) == 3 * 40 and list(whole.columns) == ["image", "rank", "cosine", "path", "features"]
    assert json.loads(pq.read_metadata(tmp_path / "found.parquet").metadata[b"simclr"])["encoder"] == str(encoder)
    assert (tmp_path / "found.html").read_text(encoding="utf-8").count("no picture") == 3


def test_a_part_of_a_file_is_shown_as_the_part_that_it_is(encoder: Path, tmp_path: Path) -> None:
    field, (left, right) = np.concatenate(digits(2)[0], axis=1), digits(2)[0]
    Image.fromarray(field[..., 0]).save(tmp_path / "field.png")
    Image.fromarray(right[..., 0]).save(tmp_path / "right.png")
    (tmp_path / "cells.csv").write_text("path,x,y,width,height\nfield.png,0,0,8,8\nfield.png,8,0,8,8\n")
    embed(encoder, images=tmp_path / "cells.csv", out=tmp_path / "f.parquet", hardware=CPU)
    given: dict[str, Any] = {"features": tmp_path / "f.parquet", "image": [tmp_path / "right.png"]}
    search(encoder, **given, n=2, out=tmp_path / "found.csv", hardware=CPU)
    assert pd.read_csv(tmp_path / "found.csv")["path"].tolist() == [f"field.png#x={x},y=0,w=8,h=8" for x in (8, 0)]
    asked, first, second = re.findall(r"data:image/[^\"]*", (tmp_path / "found.html").read_text(encoding="utf-8"))
    assert asked == first != second and not np.array_equal(left, right)


def test_the_workflows_features_of_all_splits_are_searched(encoder: Path, data: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        predict(encoder, data=data, split=split, out=tmp_path / "parts" / split, hardware=CPU)
        gather(tmp_path / "parts" / split, data=data, split=split, out=tmp_path / "features" / split)
        tabulate(tmp_path / "features" / split, data=data, split=split, out=tmp_path / "features" / split)
    (query,) = write_digits(tmp_path / "asked", 1, 100)  # the row 100 of train
    given: dict[str, Any] = {"features": tmp_path / "features", "image": [query], "n": 3, "hardware": CPU}
    search(encoder, **given, data=data, out=tmp_path / "found.csv")
    found = pd.read_csv(tmp_path / "found.csv")
    images = np.concatenate([digits(60, 260)[0], digits(200)[0]])
    names = [*(f"test/{row}.png" for row in range(60)), *(f"train/{row}.png" for row in range(200))]
    best = np.argsort(-cosines(encoder, digits(1, 100)[0], images)[0], kind="stable")[:3]
    assert list(found["path"]) == [names[row] for row in best] and found["path"][0] == "train/100.png"
    assert [Path(folder).name for folder in found["features"]] == [names[row].partition("/")[0] for row in best]
    assert "no picture" not in (tmp_path / "found.html").read_text(encoding="utf-8")
    search(encoder, **given, out=tmp_path / "found.csv")
    assert (tmp_path / "found.html").read_text(encoding="utf-8").count("no picture") == 3


def test_what_is_wrong_is_said_and_nothing_is_written(
    encoder: Path, write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    files = write_digits(tmp_path / "digits", 3)
    embed(encoder, images=tmp_path / "digits", out=tmp_path / "f.parquet", hardware=CPU)
    (tmp_path / "cut.png").write_bytes(b"damaged")
    Image.new("I;16", (8, 8)).save(tmp_path / "deep.png")
    other = write_encoder(encoder="tests.own_encoders:with_batch_norm", name="other")
    good: dict[str, Any] = {
        "encoder": encoder,
        "features": tmp_path / "f.parquet",
        "image": files[:1],
        "out": tmp_path / "o.csv",
    }
    (tmp_path / "report.html").write_text("mine")
    for wrong, reason in (
        ({"out": tmp_path / "report.csv"}, "--out: .*report.html, beside the table, is a file of yours and would be"),
        ({"data": tmp_path / "nowhere"}, "--data: .*nowhere does not exist: give the folder of packed arrays, or"),
        ({"encoder": other}, "f.parquet holds features of another encoder than .*other.safetensors: give the encoder"),
        ({"encoder": tmp_path / "none"}, "none does not exist"),
        ({"features": tmp_path / "none"}, "--features: .*none does not exist"),
        ({"image": [tmp_path / "cut.png"]}, "cut.png: it is damaged, or not one of"),
        ({"image": [files[0], tmp_path / "none.png"]}, "none.png: .*No such file"),
        ({"image": [tmp_path / "deep.png"]}, "deep.png: its values are uint16, but the encoder was trained on uint8"),
        (
            {"features": tmp_path, "out": tmp_path / "o.parquet"},
            "--out: .*o.parquet is in --features, where a Parquet file is read as features: write elsewhere",
        ),
        ({"out": tmp_path / "o.xlsx"}, "--out: .*o.xlsx ends in none of .parquet, .csv, .npz: give"),
    ):
        with pytest.raises(UserError, match=reason):
            search(**(good | wrong), hardware=CPU)
    assert not [*tmp_path.glob("o.*"), *tmp_path.glob("report.[!h]*")]
    assert (tmp_path / "report.html").read_text() == "mine"


def test_dim_images_of_many_channels_are_shown_in_named_colors_and_brightened(
    write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    form = of(2, height=8, width=8, dtype="uint16", bits=16, channel_names=["DNA", "ER"], value_range=[(0, 65_535)] * 2)
    model, folder = write_encoder(image_format=form), tmp_path / "fields"
    folder.mkdir()
    for number, values in enumerate(np.random.default_rng(0).integers(0, 9000, (4, 8, 8, 2), dtype=np.uint16)):
        tifffile.imwrite(folder / f"{number}.tif", values, planarconfig="contig", photometric="minisblack")
    embed(model, images=folder, out=tmp_path / "f.parquet", hardware=CPU)
    given: dict[str, Any] = {"features": tmp_path / "f.parquet", "image": [folder / "2.tif"]}
    search(model, **given, out=tmp_path / "found.csv", hardware=CPU)
    assert pd.read_csv(tmp_path / "found.csv")["path"][0] == "2.tif"
    page = (tmp_path / "found.html").read_text(encoding="utf-8")
    assert "<p>DNA in red, ER in green</p>" in page and "<p>All images brightened alike.</p>" in page
    assert page.count("data:image/") == 5


def test_an_image_with_a_file_for_each_channel_is_shown_as_one_file_with_all_would_be(
    write_encoder: WriteEncoder, tmp_path: Path
) -> None:
    form = of(2, height=8, width=8, channel_names=["DNA", "ER"], value_range=[(0, 255)] * 2)
    model, lines = write_encoder(image_format=form), ["path.ER,path.DNA"]
    for number, values in enumerate(np.random.default_rng(0).integers(0, 256, (3, 8, 8, 2), dtype=np.uint8)):
        tifffile.imwrite(tmp_path / f"{number}.tif", values, planarconfig="contig", photometric="minisblack")
        for name, plane in (("dna", values[..., 0]), ("er", values[..., 1])):
            Image.fromarray(plane).save(tmp_path / f"{name}{number}.png")
        lines.append(f"er{number}.png,dna{number}.png")
    (tmp_path / "fields.csv").write_text("\n".join(lines))
    embed(model, images=tmp_path / "fields.csv", out=tmp_path / "f.parquet", hardware=CPU)
    table = pd.read_parquet(tmp_path / "f.parquet")
    assert table["path"].tolist() == table["path.DNA"].tolist() == [f"dna{number}.png" for number in range(3)]
    assert table["path.ER"].tolist() == [f"er{number}.png" for number in range(3)]
    given: dict[str, Any] = {"features": tmp_path / "f.parquet", "image": [tmp_path / "2.tif"], "n": 3}
    search(model, **given, out=tmp_path / "found.csv", hardware=CPU)
    page = (tmp_path / "found.html").read_text(encoding="utf-8")
    asked, first, *others = re.findall(r"data:image/[^\"]*", page)
    assert pd.read_csv(tmp_path / "found.csv")["path"][0] == "dna2.png" and asked == first
    assert len(others) == 2 and first not in others and "<p>DNA in red, ER in green</p>" in page
