"""Files appear whole or not at all, and a full disk is told in one sentence."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.files import (
    read_json,
    read_table,
    whole_file,
    whole_folder,
    write_json,
    write_table,
    write_text,
)
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.replaced import Own


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), whole_file(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_folder_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "results"
    with whole_folder(path, None) as partial:
        (partial / "one").write_text("old")
    with pytest.raises(RuntimeError), whole_folder(path, None) as partial:
        (partial / "two").write_text("half")
        raise RuntimeError
    assert [file.name for file in path.iterdir()] == ["one"]
    assert list(tmp_path.iterdir()) == [path]


OWN = Own(("part-*", "parts.json"))


@pytest.mark.parametrize("others", [[], [".snakemake_timestamp", ".DS_Store", ".nfs0001"]])
def test_a_folder_of_the_steps_own_files_is_replaced(tmp_path: Path, others: list[str]) -> None:
    for name in ("part-0", "part-1", "parts.json", *others):
        (tmp_path / "parts").mkdir(exist_ok=True)
        (tmp_path / "parts" / name).write_text("old")
    with whole_folder(tmp_path / "parts", OWN) as new:
        (new / "part-0").write_text("new")
    assert [file.read_text() for file in (tmp_path / "parts").iterdir()] == ["new"]


def test_a_folder_with_another_file_is_kept_also_if_it_comes_late(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    late = whole_folder(precious, OWN)
    with pytest.raises(UserError, match=r"precious holds thesis.tex, which is not from this step"), late:
        (precious / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"precious holds thesis.tex"), whole_folder(precious, OWN):
        raise AssertionError("it must not begin")
    assert [file.read_text() for file in precious.iterdir()] == ["years of work"]
    assert list(tmp_path.iterdir()) == [precious]


def test_a_folder_is_replaced_whole_even_if_the_step_is_killed_while_the_old_one_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "results"
    with whole_folder(path, None) as old:
        (old / "run.json").write_text("old")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), whole_folder(path, None) as new:
        (new / "run.json").write_text("new")
        patch.setattr(shutil, "rmtree", killed)
    assert (path / "run.json").read_text() == "new" and len(list(tmp_path.iterdir())) == 2
    with whole_folder(path, None):
        assert not list(tmp_path.glob("*.old"))
    assert list(tmp_path.iterdir()) == [path]


LEAVES_A_PARTIAL = """
import os, signal, sys
from pathlib import Path
from simclr_steps.files import whole_file, whole_folder

block = whole_file(Path("result")) if sys.argv[1] == "file" else whole_folder(Path("result"), None)
with block as partial:
    (partial / "half" if partial.is_dir() else partial).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("kind", "block"), [("folder", partial(whole_folder, own=None)), ("file", whole_file)])
def test_what_a_killed_process_left_is_removed_and_what_another_is_writing_is_not(
    tmp_path: Path, kind: str, block: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", LEAVES_A_PARTIAL, kind]
    assert subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    with block(tmp_path / "result") as ours:
        assert not left.exists()
        with block(tmp_path / "result"):
            assert ours.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["result"]


def test_tables_are_read_as_written(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", [{"name": "a, b", "value": 0.1}, {"name": "c", "value": None}])
    assert read_table(tmp_path / "table.csv") == [{"name": "a, b", "value": "0.1"}, {"name": "c", "value": ""}]


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "result.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_absent_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="absent.json does not exist"):
        read_json(tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UserError, match="broken.json is not valid JSON"):
        read_json(tmp_path / "broken.json")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"deep.json is not valid JSON \(maximum recursion depth"):
        read_json(tmp_path / "deep.json")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a file system of 64 KiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_is_named_and_leaves_nothing_half_written(small_disk: Path) -> None:
    with pytest.raises(UserError, match=r"the disk is full while writing .*result.txt"):
        write_text(small_disk / "result.txt", "x" * 100_000)
    assert not list(small_disk.iterdir())
