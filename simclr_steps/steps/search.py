"""Find the images that are most similar to given ones, among those whose features are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from simclr_steps.data.boxes import NOWHERE
from simclr_steps.data.decoding import Decoded, decode
from simclr_steps.data.feature_tables import FeatureTable, feature_tables
from simclr_steps.data.packed import Pixels
from simclr_steps.data.pieces import Cutting, decode_piece
from simclr_steps.data.readable import File
from simclr_steps.data.scaling import as_packed
from simclr_steps.data.splits import Rows
from simclr_steps.data.table_files import check_table, whole_table
from simclr_steps.evaluation.neighbors import nearest
from simclr_steps.figures.contrast import BRIGHTENED, contrast_for
from simclr_steps.figures.found_images import Found, Search, found_page, is_found_page
from simclr_steps.figures.thumbnails import sprite, thumbnails
from simclr_steps.files import checksum, whole_file
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.options import Hardware
from simclr_steps.machine.provenance import Record
from simclr_steps.settings.display import in_words, legend_of, mix_of
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.use import Array, embed_images, load_encoder

_SIDE = 128  # of a picture, in pixels
_ROOM = 100_000  # bytes of a picture, above which it is compressed with loss


def search(
    encoder: Path,
    *,
    trust: str | None = None,
    features: Path,
    data: Path | None = None,
    image: Sequence[Path],
    n: int = 20,
    out: Path,
    hardware: Hardware,
) -> None:
    """Write the `n` images with the most similar features for each image, and a page of pictures beside the table.

    The table's columns are image, rank, cosine, path and features, the file or folder that has it, and its facts the
    encoder, the features and the run record; data/table_files.py tells what that means for each suffix of `out`.
    `features` is a Parquet file of embed, a folder of such, or a folder that gather wrote for one split or for several;
    all rows are compared, exactly. The page has the name of the table and the suffix .html; it shows files that embed
    read and, if `data` is their packed arrays, those of gather.

    Raises
    ------
    UserError
        If features are of another encoder or of two, an image is not readable, or `out` has another suffix.
    """
    check_table(out, encoder, features, *image)
    if out.suffix.lower() == ".parquet" and out.resolve().is_relative_to(features.resolve()):
        raise UserError(f"--out: {out} is in --features, where a Parquet file is read as features: write elsewhere")
    page = out.with_suffix(".html")
    if page.exists() and not is_found_page(page):
        raise UserError(f"--out: {page}, beside the table, is a file of yours and would be replaced: give another name")
    record = Record("search", None, None)
    if data and not data.is_dir():
        raise UserError(f"--data: {data} does not exist: give the folder of packed arrays, or leave it out")
    tables = feature_tables(features)
    if data:
        for table in tables:
            table.check_data(data)
    device = hardware.claim().device
    model = load_encoder(encoder, device=device, trust=trust)
    if tables[0].encoder_hash != checksum(encoder):
        raise UserError(
            f"{tables[0].path} holds features of another encoder than {encoder}: give the encoder they are of"
        )
    hits = _hits(tables, *_most_similar(tables, embed_images(model, image), n, device))
    facts = {"encoder": str(encoder), "encoder_hash": tables[0].encoder_hash, "features": str(features)}
    shown = _page(image, hits, data, model.image_format)
    with whole_file(page) as partial:
        partial.write_text(shown, encoding="utf-8")
        _write(image, hits, {**facts, "run": record.finish()}, out)
    log.info("%d of %d images for each of %d: %s", len(hits[0]), sum(map(len, tables)), len(image), out)


@dataclass(frozen=True)
class _Hit:
    """A row that was found."""

    rank: int  # from 1
    cosine: float
    table: FeatureTable
    row: int  # of the table

    @property
    def path(self) -> str:
        return self.table.names[self.row]


def _most_similar(tables: Sequence[FeatureTable], queries: Array, n: int, device: torch.device) -> tuple[Rows, Array]:
    """Return the rows, counted through all tables, whose features are most similar, and their cosines: both [Q, n]."""
    on_device, start = torch.from_numpy(queries).to(device), 0
    rows, distances = torch.empty((len(queries), 0), dtype=torch.int64), torch.empty((len(queries), 0))
    for table in tables:
        for block in table.blocks(queries.shape[1]):
            here, far = nearest(torch.from_numpy(block).to(device), on_device, n)
            rows, distances = torch.cat([rows, here.cpu() + start], 1), torch.cat([distances, far.cpu()], 1)
            order = distances.argsort(dim=1, stable=True)[:, :n]
            rows, distances = rows.gather(1, order), distances.gather(1, order)
            start += len(block)
    return rows.numpy(), (1 - distances).numpy()


def _hits(tables: Sequence[FeatureTable], rows: Rows, cosines: Array) -> list[list[_Hit]]:
    """Return what was found for each image, best first, from rows that count through all tables."""
    starts = np.cumsum([0, *map(len, tables)])
    numbers = np.searchsorted(starts, rows, side="right") - 1
    return [
        [
            _Hit(rank, float(cosine), tables[number], int(row - starts[number]))
            for rank, (number, row, cosine) in enumerate(zip(*of_one, strict=True), start=1)
        ]
        for of_one in zip(numbers, rows, cosines, strict=True)
    ]


def _write(queries: Sequence[Path], hits: Sequence[Sequence[_Hit]], facts: dict[str, Any], out: Path) -> None:
    found = [(str(query), hit) for query, of_query in zip(queries, hits, strict=True) for hit in of_query]
    with whole_table(out) as table:
        table.write(
            {
                "image": [query for query, _ in found],
                "rank": np.array([hit.rank for _, hit in found]),
                "cosine": np.array([hit.cosine for _, hit in found], dtype=np.float32),
                "path": [hit.path for _, hit in found],
                "features": [str(hit.table.path) for _, hit in found],  # tells equal paths of several tables apart
            }
        )
        table.facts = facts


def _page(queries: Sequence[Path], hits: Sequence[Sequence[_Hit]], data: Path | None, form: ImageFormat) -> str:
    """Return the page's HTML. Its pictures are what the encoder reads, all with the same contrast."""
    asked = [_from_file(query, form) for query in queries]
    shown = [[_image_of(hit, data, form) for hit in of_query] for of_query in hits]
    readable = [image for image in chain(asked, *shown) if image is not None]
    mix = mix_of(None, form, "")
    contrast = None if form.is_photo else contrast_for(np.stack(readable, dtype=form.packed_dtype), mix)

    def address(image: Pixels | None) -> str | None:
        if image is None:
            return None
        one = contrast.stretched(image[None]) if contrast else image[None]
        return sprite(thumbnails(one, _SIDE, mix), _ROOM)

    searches = [
        Search(
            str(query),
            address(picture),
            [
                Found(hit.rank, hit.cosine, hit.path, address(image))
                for hit, image in zip(of_query, images, strict=True)
            ],
        )
        for query, picture, of_query, images in zip(queries, asked, hits, shown, strict=True)
    ]
    lines = [in_words(legend_of(mix, form)), f"{BRIGHTENED}." if contrast else ""]
    return found_page(searches, [line[0].upper() + line[1:] for line in lines if line])


def _image_of(hit: _Hit, data: Path | None, form: ImageFormat) -> Pixels | None:
    """Return an image as it was packed, None where it is not there to be shown."""
    if piece := hit.table.piece(hit.row):
        file, box = piece
        return _from_file(file, form) if box == NOWHERE else _shown(decode_piece(file, box, Cutting(form)), form)
    return hit.table.packed_image(data, hit.row) if data else None


def _from_file(file: File, form: ImageFormat) -> Pixels | None:
    return _shown(decode(file, form), form)


def _shown(decoded: Decoded | str, form: ImageFormat) -> Pixels | None:
    image = as_packed(decoded, form)
    return None if isinstance(image, str) else image
