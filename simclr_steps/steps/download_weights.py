"""Get the file of an encoder's published weights and verify it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from simclr_steps.data.fetching import fetch
from simclr_steps.data.known_sets import Original
from simclr_steps.files import checksum, write_json, write_text
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.networks.published import published
from simclr_steps.settings.weights import PublishedWeights


def download_weights(weights: PublishedWeights, *, folder: Path, out: Path) -> None:
    """Leave the verified file in `folder`, or find it at the user's `path`, and describe it in `out`.

    `out` is JSON: the weights' name, the file's absolute path, its source, its SHA-256 and its license, and the record
    of the run. Where the makers give no digits and the user no `sha256`, the file's are noted in `folder` as it comes
    for the first time, and demanded ever after.

    Raises
    ------
    UserError
        When there are no such weights, their file is not to be had or is another one, or the disk is full.
    """
    record = Record("download_weights", weights, None)
    known = published(weights.encoder)
    address = urlsplit(known.address)
    name = Path(address.path).name
    note = folder / f"{name}.sha256"
    noted = note.read_text(encoding="utf-8").strip() if note.exists() else ""
    original = Original(name, weights.sha256 or known.digits or noted, algorithm="sha256")
    if weights.path is not None:
        path, source = _found(original, Path(weights.path)), weights.path
    else:
        mirrors = [mirror.rstrip("/") + address.path for mirror in weights.mirrors]
        path, source = fetch(original, [known.address, *mirrors], folder, "weights_"), known.address
    sha256 = checksum(path)
    if not (original.checksum or weights.path):
        write_text(note, f"{sha256}\n")
        log.info("nothing tells what %s should be; from now on its SHA-256 must be %s", name, sha256)
    facts = {"name": weights.name, "path": str(path.absolute()), "source": source, "sha256": sha256}
    write_json(out, {**facts, "license": known.license, "run": record.finish()})


def _found(original: Original, path: Path) -> Path:
    """Return the verified file that a user has, in which nothing is changed."""
    file = path / original.name if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"weights_path: there is no file {file}: put it there, or omit `weights_path`")
    if not original.matches(file):
        raise UserError(
            f"weights_path: {file} is not the original (its SHA-256 does not begin with {original.checksum}): replace "
            "it, or name it as init to start from other weights"
        )
    return file
