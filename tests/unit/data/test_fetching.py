from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from simclr_steps.data import fetching
from simclr_steps.data.fetching import fetch
from simclr_steps.data.known_sets import Original
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.progress import Progress

CONTENT = bytes(range(256)) * 8192  # 2 MiB
FILE = Original("images.bin", hashlib.md5(CONTENT).hexdigest(), len(CONTENT))


ELSEWHERE = {"file": "file:///etc/passwd", "ftp": "ftp://127.0.0.1/images.bin", "http": "/good/images.bin"}


class Server(ThreadingHTTPServer):
    """Serves CONTENT at /<behavior>/images.bin and remembers what was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []  # behavior, Range
        self.proceed = threading.Event()

    def base(self, behavior: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{behavior}/images.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        behavior, asked = self.path.split("/")[1], self.headers["Range"]
        self.server.asked.append((behavior, asked))
        if behavior == "absent":
            self.send_error(404)
            return
        if behavior.startswith("redirects-to-"):
            self.send_response(302)
            self.send_header("Location", ELSEWHERE[behavior.removeprefix("redirects-to-")])
            self.end_headers()
            return
        if behavior == "trickles-headers":
            self.wfile.write(b"HTTP/1.0 200 OK\r\nServer: ")
            self.trickle()
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and behavior != "no-ranges" else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        content = CONTENT[start:] if behavior != "wrong" else bytes(len(CONTENT) - start)
        self.send_response(206 if start else 200)
        if behavior == "one-byte-whole":
            content = content[:1]
        if behavior != "endless":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if behavior == "breaks":  # after a quarter of the file, each time
            self.wfile.write(content[: len(CONTENT) // 4])
        elif behavior == "one-byte":
            self.wfile.write(content[:1])
        elif behavior == "endless":
            with contextlib.suppress(ConnectionError):
                while not self.server.proceed.is_set():
                    self.wfile.write(content)
        elif behavior == "trickles":
            self.trickle()
        elif behavior == "stalls":
            self.wfile.write(content[: len(CONTENT) // 2])
            self.wfile.flush()
            self.server.proceed.wait(30)
        else:
            self.wfile.write(content)

    def trickle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while not self.server.proceed.wait(0.02):
                self.wfile.write(b"x")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.proceed.set()
        running.shutdown()


def nobody_listens() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/images.bin"


def only_file_in(folder: Path) -> str:
    (path,) = folder.iterdir()
    return path.name


def test_a_file_is_fetched_whole_and_verified(server: Server, tmp_path: Path) -> None:
    path = fetch(FILE, [server.base("good")], tmp_path / "new")
    assert path.read_bytes() == CONTENT
    assert only_file_in(tmp_path / "new") == "images.bin"


def test_a_file_that_is_there_is_verified_and_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "images.bin").write_bytes(CONTENT)
    fetch(FILE, [server.base("good")], tmp_path)
    assert server.asked == []


def test_a_damaged_file_that_is_there_is_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "images.bin").write_bytes(CONTENT[:-1])
    assert fetch(FILE, [server.base("good")], tmp_path).read_bytes() == CONTENT
    assert server.asked == [("good", None)]


def test_a_partial_file_is_resumed_and_verified(server: Server, tmp_path: Path) -> None:
    (tmp_path / "images.bin.partial").write_bytes(CONTENT[:777_777])
    assert fetch(FILE, [server.base("good")], tmp_path).read_bytes() == CONTENT
    assert server.asked == [("good", "bytes=777777-")]
    assert only_file_in(tmp_path) == "images.bin"


def test_a_server_that_ignores_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "images.bin.partial").write_bytes(CONTENT[:777_777])
    assert fetch(FILE, [server.base("no-ranges")], tmp_path).read_bytes() == CONTENT
    assert len(server.asked) == 1


def test_a_whole_partial_file_is_taken_when_no_byte_is_missing(server: Server, tmp_path: Path) -> None:
    (tmp_path / "images.bin.partial").write_bytes(CONTENT)
    assert fetch(FILE, [server.base("good")], tmp_path).read_bytes() == CONTENT
    assert server.asked == [("good", f"bytes={len(CONTENT)}-")]


def test_a_partial_file_that_is_too_long_or_foreign_is_thrown_away(server: Server, tmp_path: Path) -> None:
    for wrong in (CONTENT + b"!", b"something else"):
        (tmp_path / "images.bin.partial").write_bytes(wrong)
        path = fetch(FILE, [server.base("good")], tmp_path)
        assert path.read_bytes() == CONTENT
        path.unlink()


def test_a_connection_that_breaks_is_taken_up_again(server: Server, tmp_path: Path) -> None:
    assert fetch(FILE, [server.base("breaks")], tmp_path).read_bytes() == CONTENT
    quarter = len(CONTENT) // 4
    assert [asked for _, asked in server.asked] == [None, *(f"bytes={quarter * n}-" for n in (1, 2, 3))]


def test_a_process_killed_in_the_middle_leaves_a_partial_file_that_the_next_resumes(
    server: Server, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=fetch, args=(FILE, [server.base("stalls")], tmp_path))
    process.start()
    partial = tmp_path / "images.bin.partial"
    deadline = time.monotonic() + 30
    while not (partial.exists() and partial.stat().st_size > len(CONTENT) // 4):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.join()
    assert only_file_in(tmp_path) == "images.bin.partial"
    size = partial.stat().st_size
    assert fetch(FILE, [server.base("good")], tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == ("good", f"bytes={size}-")


def test_after_a_wrong_checksum_the_next_address_is_tried_from_the_start(server: Server, tmp_path: Path) -> None:
    path = fetch(FILE, [server.base("wrong"), server.base("good")], tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.asked == [("wrong", None), ("good", None)]


def test_a_file_address_is_copied(tmp_path: Path) -> None:
    (tmp_path / "with space").mkdir()
    (tmp_path / "with space" / "images.bin").write_bytes(CONTENT)
    path = fetch(FILE, [(tmp_path / "with space" / "images.bin").as_uri()], tmp_path / "new")
    assert path.read_bytes() == CONTENT


def test_when_all_fail_each_address_is_named_with_its_reason(server: Server, tmp_path: Path) -> None:
    addresses = [server.base("absent"), server.base("wrong"), nobody_listens(), "file:///nowhere/images.bin"]
    with pytest.raises(UserError) as failure:
        fetch(FILE, addresses, tmp_path)
    text = str(failure.value)
    for address, reason in zip(addresses, ["HTTP 404", "md5", "refused", "No such file"], strict=True):
        assert re.search(rf"{re.escape(address)} \([^)]*{reason}", text), text
    assert "`mirrors`" in text
    assert "`path`" in text
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_address_fails_and_the_next_one_is_tried(server: Server, tmp_path: Path) -> None:
    wrong = ["http://[::1/images.bin", "http://localhost:port/images.bin", "http://127.0.0.1/größe/images.bin"]
    assert fetch(FILE, [*wrong, server.base("good")], tmp_path).read_bytes() == CONTENT
    with pytest.raises(UserError, match="could not be downloaded") as failure:
        fetch(FILE, wrong, tmp_path / "new")
    assert [address for address in wrong if address not in str(failure.value)] == []


def test_a_download_shows_how_far_it_is(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "simclr_steps")
    monkeypatch.setattr(fetching, "Progress", partial(Progress, every=0, growth=0))
    fetch(FILE, [server.base("good")], tmp_path)
    said = re.findall(r"fetched of images.bin (\d+) of 2097 kB, [\d.,]+ kB/s, \d+ s left", caplog.text)
    kilobytes = [int(number) for number in said]
    # Two may be equal, as a socket may give a few bytes only.
    assert len(set(kilobytes)) > 10 and kilobytes == sorted(kilobytes) and kilobytes[-1] == 2097


def test_no_network_keeps_the_partial_file(tmp_path: Path) -> None:
    (tmp_path / "images.bin.partial").write_bytes(CONTENT[:1000])
    with pytest.raises(UserError, match="refused"):
        fetch(FILE, [nobody_listens()], tmp_path)
    assert (tmp_path / "images.bin.partial").read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize(
    ("size", "said"),
    [(len(CONTENT), f"the file's {len(CONTENT)} bytes"), (None, "0.003 GB, and nothing tells its size")],
)
def test_an_endless_body_is_left_at_the_size_of_the_file_or_a_limit_and_the_next_address_is_tried(
    server: Server,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    size: int | None,
    said: str,
) -> None:
    monkeypatch.setattr(fetching, "_MOST_BYTES", 3_000_000)
    file = dataclasses.replace(FILE, size=size)
    stop = threading.Timer(20, server.proceed.set)  # for a program that would not
    stop.daemon = True
    stop.start()
    assert fetch(file, [server.base("endless"), server.base("good")], tmp_path).read_bytes() == CONTENT
    assert f"it sent more than {said}" in caplog.text
    assert server.asked == [("endless", None), ("good", None)]


@pytest.mark.parametrize("behavior", ["trickles", "trickles-headers"])
def test_an_address_that_is_too_slow_is_abandoned_for_the_next(
    server: Server,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    behavior: str,
) -> None:
    before = signal.getsignal(signal.SIGALRM)
    monkeypatch.setattr(fetching, "_INTERVAL", 0.3)
    assert fetch(FILE, [server.base(behavior), server.base("good")], tmp_path).read_bytes() == CONTENT
    assert "it sent less than 1000 bytes/s for 0.3 s" in caplog.text
    assert signal.getsignal(signal.SIGALRM) == before


@pytest.mark.parametrize("behavior", ["one-byte", "one-byte-whole"])
def test_an_address_that_sends_a_byte_at_a_time_is_asked_a_limited_number_of_times(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, behavior: str
) -> None:
    assert fetch(FILE, [server.base(behavior), server.base("good")], tmp_path).read_bytes() == CONTENT
    assert "the connection broke 100 times" in caplog.text
    assert len(server.asked) < 110


@pytest.mark.parametrize("elsewhere", ["file", "ftp"])
def test_a_redirect_to_another_scheme_is_not_followed(server: Server, tmp_path: Path, elsewhere: str) -> None:
    with pytest.raises(UserError, match=re.escape(ELSEWHERE[elsewhere]) + ".* (is not allowed|not an https address)"):
        fetch(FILE, [server.base(f"redirects-to-{elsewhere}")], tmp_path)
    assert fetch(FILE, [server.base("redirects-to-http")], tmp_path).read_bytes() == CONTENT


def test_a_full_disk_is_named_and_the_download_goes_on_when_there_is_room(server: Server, tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        with pytest.raises(UserError, match=rf"the disk is full while writing {tmp_path}/images\.bin"):
            fetch(FILE, [server.base("good")], tmp_path)
        subprocess.run(["mount", "-o", "remount,size=4m", str(tmp_path)], check=True)
        assert fetch(FILE, [server.base("good")], tmp_path).read_bytes() == CONTENT
        assert server.asked[-1][1] not in (None, "bytes=0-")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
