"""Several processes decode as one does, and none is waited for or left when it, or the step, is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from simclr_steps.data import decoding_processes
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.image_format import Reading
from simclr_steps.settings.sizes import Size
from tests.unit.data.test_decoding import photo, pixels

__all__ = ["photo"]  # the fixture


def decode_all(paths: list[Path], size: Size, channels: int, workers: int) -> Iterator[npt.NDArray[np.uint8] | str]:
    reading = Reading(height=size[0], width=size[1], channels=channels)
    return map(pixels, decoding_processes.decode_all(paths, reading, workers))


def dies_while_it_hands_over(paths: list[Path], **_: object) -> bytes:
    """Take the place of decoding: hand over a part of the images and die, as by the kernel when the memory is full."""

    def send_a_part(connection: Connection, content: bytes) -> None:
        os.write(connection.fileno(), bytes(content)[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    if "0.png" in {path.name for path in paths}:
        Connection._send = send_a_part  # type: ignore[attr-defined]
    return bytes(40_000)


def dies_while_another_decodes(paths: list[Path], **_: object) -> bytes:
    """Take the place of decoding: die at once, or hand over later what fills a pipe."""
    if "0.png" in {path.name for path in paths}:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(2)
    return bytes(400_000)


@pytest.mark.usefixtures("in_processes_at_once")
@pytest.mark.parametrize("dies", [dies_while_it_hands_over, dies_while_another_decodes])
@pytest.mark.timeout(60)
def test_a_process_that_is_killed_at_any_moment_ends_the_decoding_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies: Callable[..., bytes]
) -> None:
    monkeypatch.setattr(decoding_processes, "_decode_some", dies)
    with pytest.raises(UserError, match="a process that decodes images died, perhaps out of memory"):
        list(decode_all([tmp_path / f"{number}.png" for number in range(64)], (12, 12), 3, 2))
    assert not multiprocessing.active_children()


DECODE = """
import sys, time
from pathlib import Path
from simclr_steps.data import decoding_processes
from simclr_steps.settings.image_format import Reading
decoding_processes._ALONE = 0
if __name__ == "__main__":
    for _ in decoding_processes.decode_all([Path("absent.png")] * 64, Reading(height=12, width=12, channels=3), 2):
        print("decoding", flush=True)
        time.sleep(1000)
"""


def test_no_process_outlives_a_step_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "step.py").write_text(DECODE)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, str(tmp_path / "step.py")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, cwd=tmp_path) as step:
        assert step.stdout and step.stdout.readline()
        started = Path(f"/proc/{step.pid}/task/{step.pid}/children").read_text().split()
        assert len(started) >= 2
        step.kill()
    deadline = time.monotonic() + 10
    while left := [pid for pid in started if Path(f"/proc/{pid}/cmdline").exists()]:
        assert time.monotonic() < deadline, f"{left} of {started} live on"
        time.sleep(0.1)


def test_the_order_and_the_pixels_do_not_depend_on_who_decodes(
    photo: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(40)]
    for number, path in enumerate(paths):
        photo.crop((number, number, 200 + 5 * number, 300)).save(path)
    paths[20].write_bytes(b"damaged")
    one = list(decode_all(paths, (12, 12), 3, 1))
    monkeypatch.setattr(decoding_processes, "_ALONE", 1e-9)  # the first by this process, and the others not
    two = list(decode_all(paths, (12, 12), 3, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert [number for number, image in enumerate(two) if isinstance(image, str)] == [20]


def test_no_process_is_started_for_a_few_small_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    monkeypatch.setattr(decoding_processes, "ProcessPoolExecutor", None)
    assert len(list(decode_all([tmp_path / "a.png"] * 40, (12, 12), 1, 16))) == 40
