"""Download a file from the first address that has it, go on where an earlier try stopped, and verify it."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from simclr_steps.data.known_sets import Original
from simclr_steps.files import raise_if_full
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import Progress, log

_TIMEOUT = 60  # seconds without a byte
_BLOCK = 1 << 16  # bytes


def fetch(original: Original, addresses: Sequence[str], folder: Path) -> Path:
    """Return the path of a verified original in `folder`, downloaded unless it is there already.

    What is not yet whole and verified is called `<name>.partial`, and a later call goes on with it.

    Raises
    ------
    UserError
        When no address gives the file, or the disk is full.
    """
    path = folder / original.name
    partial = folder / f"{original.name}.partial"
    folder.mkdir(parents=True, exist_ok=True)
    if path.exists():
        if original.matches(path):
            log.info("%s already exists", path)
            return path
        log.warning("%s is damaged and will be fetched again", path)
        path.unlink()
    failures = []
    for address in addresses:
        try:
            _fetch_from(address, partial, original)
        except (OSError, http.client.HTTPException, ValueError) as error:  # the last: it is no address
            if isinstance(error, OSError):
                raise_if_full(error, partial)
            failures.append(f"{address} ({_reason(error)})")
            log.warning("could not fetch it from %s", failures[-1])
        else:
            partial.replace(path)
            log.info("fetched %s from %s", path, address)
            return path
    raise UserError(
        f"{original.name} could not be downloaded from {', '.join(failures)}: check the network, add an address to "
        "`mirrors`, or set `path` to a folder that contains the file"
    )


class _UnusableError(OSError):
    """What came is not the file."""


def _fetch_from(address: str, partial: Path, original: Original) -> None:
    """Leave a verified file at `partial`."""
    resumed = _size(partial) > 0
    _transfer(address, partial)
    if original.matches(partial):
        return
    partial.unlink()
    if not resumed:
        raise _UnusableError(f"its checksum is wrong: its {original.algorithm} is not {original.checksum}")
    _fetch_from(address, partial, original)  # what lay there may be at fault, not this address


def _transfer(address: str, partial: Path) -> None:
    """Append what is missing at `partial`, as often as the connection breaks but brought something."""
    while True:
        before = _size(partial)
        try:
            return _transfer_once(address, partial)
        except (OSError, http.client.HTTPException):
            if _size(partial) <= before:
                raise
            log.info("the connection broke after %d bytes; resuming", _size(partial))


def _transfer_once(address: str, partial: Path) -> None:
    start = _size(partial)
    headers = {"Range": f"bytes={start}-"} if start else {}
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - the settings let no other scheme pass
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            return  # no byte is missing: the checksum shows whether those that are there are right
        raise
    with response, partial.open("ab" if response.status == http.HTTPStatus.PARTIAL_CONTENT else "wb") as stream:
        length = int(response.headers.get("Content-Length", 0))
        progress = Progress(f"fetched of {partial.stem}", length // 1000, unit="kB")
        received = 0
        while block := response.read(_BLOCK):
            stream.write(block)
            received += len(block)
            if length:
                progress.update(received // 1000)
    if received < length:
        raise _UnusableError(f"it broke off {length - received} bytes before the end")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return (isinstance(cause, OSError) and cause.strerror) or str(cause) or type(cause).__name__
