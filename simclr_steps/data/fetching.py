"""Download a file from the first address that has it, go on where an earlier try stopped, and verify it."""

from __future__ import annotations

import http.client
import signal
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simclr_steps.data.known_sets import Original
from simclr_steps.files import raise_if_full
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.progress import Progress

_TIMEOUT = 60  # seconds without a byte
_LEAST_SPEED = 1000  # bytes/s, within each interval
_INTERVAL = 60.0  # seconds
_MOST_REQUESTS = 100  # to one address
_MOST_BYTES = 100 * 10**9  # of a file of unknown size; the largest published weights, of 7 billion numbers, have 27 GB
_BLOCK = 1 << 16  # bytes


def fetch(original: Original, addresses: Sequence[str], folder: Path, keys: str = "") -> Path:
    """Return the path of a verified original in `folder`, downloaded unless it is there already.

    What is not yet whole and verified is called `<name>.partial`, and a later call goes on with it. `keys` is what the
    config's keys `mirrors` and `path` begin with, which the error names.

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
        f"`{keys}mirrors`, or set `{keys}path` to a folder that contains the file"
    )


class _UnusableError(OSError):
    """What comes from an address is not the file, or would not come to an end."""


def _fetch_from(address: str, partial: Path, original: Original) -> None:
    """Leave a verified file at `partial`."""
    resumed = _size(partial) > 0
    with _least_speed(partial):
        _transfer(address, partial, original.size)
    if original.matches(partial):
        return
    partial.unlink()
    if not resumed:
        raise _UnusableError(f"its checksum is wrong: its {original.algorithm} is not {original.checksum}")
    _fetch_from(address, partial, original)  # what lay there may be at fault, not this address


@contextmanager
def _least_speed(partial: Path) -> Iterator[None]:
    """Interrupt the block where too little has come to `partial` within a minute, whatever the block waits for then.

    Only the main thread can do that.
    """
    size = _size(partial)

    def check(*_: object) -> None:
        nonlocal size
        before, size = size, _size(partial)
        came = size - before if size >= before else size  # an address may begin anew
        if came < _LEAST_SPEED * _INTERVAL:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise _UnusableError(f"it sent less than {_LEAST_SPEED} bytes/s for {_INTERVAL:g} s")

    listening = signal.signal(signal.SIGALRM, check)
    timer = signal.setitimer(signal.ITIMER_REAL, _INTERVAL, _INTERVAL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, listening)


def _transfer(address: str, partial: Path, size: int | None) -> None:
    """Append what is missing at `partial`, with a new request where the connection breaks but brought something."""
    for _ in range(_MOST_REQUESTS):
        before = _size(partial)
        try:
            return _transfer_once(address, partial, size)
        except _UnusableError:
            raise
        except (OSError, http.client.HTTPException):
            if _size(partial) <= before:
                raise
            log.info("the connection broke after %d bytes; resuming", _size(partial))
    raise _UnusableError(f"the connection broke {_MOST_REQUESTS} times")


def _transfer_once(address: str, partial: Path, size: int | None) -> None:
    """Append what one request brings; raise ConnectionError where that is less than the file."""
    start = _size(partial)
    headers = {"Range": f"bytes={start}-"} if start else {}
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - the settings let no other scheme pass
    try:
        response = _OPENER.open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            return  # no byte is missing: the checksum shows whether those that are there are right
        raise
    is_rest = response.status == http.HTTPStatus.PARTIAL_CONTENT
    with response, partial.open("ab" if is_rest else "wb") as stream:
        length = int(response.headers.get("Content-Length", 0))
        expected = size or (length + start if is_rest else length)
        progress = Progress(f"fetched of {partial.stem}", length / 1000, unit="kB")
        while block := response.read1(_BLOCK):
            stream.write(block)
            stream.flush()  # so that the file shows how far it is
            if stream.tell() > (size or _MOST_BYTES):
                partial.unlink()
                most = f"the file's {size} bytes" if size else f"{_MOST_BYTES / 1e9:g} GB, and nothing tells its size"
                raise _UnusableError(f"it sent more than {most}")
            if length:
                progress.add(len(block) / 1000)
    if missing := max(0, expected - _size(partial)):
        raise ConnectionError(f"it broke off {missing} bytes before the end")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to the same scheme or to https; others would ask for what the user did not name."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Return the request to make instead."""
        if urllib.parse.urlsplit(newurl).scheme not in ("https", req.type):
            raise _UnusableError(f"it redirects to {newurl}, which is not an https address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_SafeRedirects)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return (isinstance(cause, OSError) and cause.strerror) or str(cause) or type(cause).__name__
