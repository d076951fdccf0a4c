"""Steps draw with their own settings, and find room for their caches, whatever the user's surroundings are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.surroundings import CACHES, settle

REPOSITORY = Path(__file__).parents[3]
PICTURE = """
from pathlib import Path
from simclr_steps.machine.surroundings import settle
settle()
import matplotlib.pyplot
from simclr_steps.figures.plots import new_figure, save
figure = new_figure(2, 2)
figure.add_subplot().set_title("a_b")
save(figure, Path("plot"))
"""
SLOW = "Matplotlib is building the font cache; this may take a moment.\n"  # it says so after 5 s, on a busy machine
USERS_OWN = "text.usetex: True\nfont.size: 40\nsavefig.facecolor: black\nno.such.key: 1\n"


def picture(folder: Path, **environment: str) -> tuple[bytes, str]:
    """Return the plot that a process of its own draws in a folder, and what it says."""
    folder.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name not in CACHES}
    done = subprocess.run(
        [sys.executable, "-c", PICTURE],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return (folder / "plot.png").read_bytes(), done.stderr.replace(SLOW, "")


@pytest.mark.slow
def test_plots_do_not_depend_on_a_notebook_or_a_matplotlibrc(tmp_path: Path) -> None:
    plain, _ = picture(tmp_path / "plain")
    notebook, _ = picture(tmp_path / "notebook", MPLBACKEND="module://matplotlib_inline.backend_inline")
    assert notebook == plain
    (tmp_path / "private/.config/matplotlib").mkdir(parents=True)
    (tmp_path / "private/.config/matplotlib/matplotlibrc").write_text(USERS_OWN)
    private, said = picture(tmp_path / "private", HOME=str(tmp_path / "private"))
    assert (private, said) == (plain, "")
    (tmp_path / "here").mkdir()
    (tmp_path / "here/matplotlibrc").write_text(USERS_OWN)
    assert picture(tmp_path / "here")[0] == plain


def test_caches_lie_in_a_private_folder_where_the_home_folder_takes_no_files(tmp_path: Path) -> None:
    _, said = picture(tmp_path / "plot", HOME="/dev/null", TMPDIR=str(tmp_path))
    assert said == ""
    folder = tmp_path / f"simclr-{os.getuid()}-caches"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "matplotlib").is_dir()


def test_a_folder_for_caches_that_others_can_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MPLBACKEND", "MATPLOTLIBRC", *CACHES):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / f"simclr-{os.getuid()}-caches"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(UserError, match=f"{folder} is writable by other users: remove it, or set TMPDIR"):
        settle()


def test_a_home_folder_that_takes_files_keeps_the_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MPLBACKEND", "MATPLOTLIBRC"):
        monkeypatch.setenv(name, "")
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", *CACHES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    settle()
    assert not CACHES.keys() & os.environ.keys()
