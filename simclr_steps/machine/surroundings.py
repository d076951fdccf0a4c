"""What the user's surroundings do not change: how libraries draw, and whether they find a folder for their caches."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from simclr_steps.machine.errors import UserError

# Where libraries keep what they would otherwise compute again in every step.
CACHES = {
    "CUDA_CACHE_PATH": "cuda",
    "MPLCONFIGDIR": "matplotlib",
    "NUMBA_CACHE_DIR": "numba",
    "PYTORCH_KERNEL_CACHE_PATH": "torch_kernels",
    "TORCH_HOME": "torch",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
}


def settle() -> None:
    """Have this process draw with its own settings, and keep caches elsewhere where the home folder takes no files.

    It must be called before matplotlib is imported, which torchmetrics does, too.

    Raises
    ------
    UserError
        When the folder for the caches is another user's.
    """
    os.environ |= {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
    if not _home_takes_files():
        folder = _private_folder()
        for name, inner in CACHES.items():
            os.environ.setdefault(name, str(folder / inner))


def _home_takes_files() -> bool:
    places = [os.environ.get("XDG_CACHE_HOME") or "~/.cache", os.environ.get("XDG_CONFIG_HOME") or "~/.config"]
    folders = [Path(os.path.expanduser(place)) for place in places]  # noqa: PTH111 - Path raises where there is no home
    return all(folder.is_absolute() and _takes_files(folder) for folder in folders)


def _takes_files(folder: Path) -> bool:
    """Return whether files can be written in a folder, or the folder made."""
    nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def _private_folder() -> Path:
    """Return a folder in which nobody else can put code, which some caches hold."""
    folder = Path(tempfile.gettempdir()) / f"simclr-{os.getuid()}-caches"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise UserError(f"{folder} is writable by other users: remove it, or set TMPDIR to a folder of your own")
    return folder
