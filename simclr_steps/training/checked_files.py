"""What a training saves while it runs: whole files that carry their own checksum, the newest and the one before."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from simclr_steps.files import raise_if_full
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log

_DIGEST_BYTES = hashlib.sha256().digest_size


class CheckedFiles(CheckpointIO):
    """How Lightning writes and reads a training: torch.save's bytes, followed by their SHA-256.

    The file that is replaced stays beside the new one as the generation before.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a file whole or not at all, even if the machine loses its power.

        Raises
        ------
        UserError
            When the disk is full; both generations are then as they were.
        """
        path = Path(path)
        partial = path.with_suffix(".partial")
        try:
            with partial.open("wb") as stream:
                writer = _Hashing(stream)
                torch.save(checkpoint, writer)  # type: ignore[arg-type]  # it needs no more than write and flush
                stream.write(writer.digest.digest())
                stream.flush()
                os.fsync(stream.fileno())
        except (OSError, RuntimeError) as error:
            partial.unlink(missing_ok=True)
            raise_if_full(error, path)
            raise
        if path.exists():
            path.replace(generation_before(path))
        partial.replace(path)
        _sync_folder(path.parent)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """Read a file, to the CPU; nothing of it is unpickled unless it matches its checksum.

        Raises
        ------
        UserError
            When it does not.
        """
        content = Path(path).read_bytes()
        if not _matches(content):
            raise UserError(f"{path} is damaged: delete it and run again")
        loaded: dict[str, Any] = torch.load(
            io.BytesIO(memoryview(content)[:-_DIGEST_BYTES]), map_location="cpu", weights_only=True
        )
        return loaded

    def remove_checkpoint(self, path: Any) -> None:
        """Remove both generations."""
        for file in (Path(path), generation_before(Path(path))):
            file.unlink(missing_ok=True)


class _Hashing:
    """Passes on what is written, and keeps its digest."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self._stream.write(content)

    def flush(self) -> None:
        self._stream.flush()


def generation_before(path: Path) -> Path:
    """Return the name of the file that `path` replaced."""
    return path.with_suffix(".previous" + path.suffix)


def newest_intact(path: Path) -> Path | None:
    """Return the newest generation that matches its checksum, if any; a damaged one is named and removed."""
    damaged = False
    for file in (path, generation_before(path)):
        try:
            intact = _matches(file.read_bytes())
        except FileNotFoundError:  # there is none, or another machine has just removed it
            continue
        if intact:
            return file
        damaged = True
        log.warning("warning: %s is damaged and was removed", file)
        file.unlink(missing_ok=True)
    if damaged:
        log.warning("warning: no intact checkpoint is left, so training starts over")
    return None


def _matches(content: bytes) -> bool:
    view = memoryview(content)
    return hashlib.sha256(view[:-_DIGEST_BYTES]).digest() == bytes(view[-_DIGEST_BYTES:])


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder outlast a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
