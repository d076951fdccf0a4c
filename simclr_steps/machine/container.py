"""The container that steps run in: how Python starts in it, and whether it would see what the steps need."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.surroundings import CACHES


def image_of(container: str) -> str:
    """Return the image's file, or its address as it stands.

    A link is resolved, so that moving it to another image while jobs run does not change theirs.
    """
    return container if "://" in container else str(Path(container).resolve())


def python_in(image: str, caches: str) -> str:
    """Return shell words that start the image's Python, with its caches in a folder below the working directory.

    The image itself is read-only.
    """
    folders = [f'{name}="$PWD"/{shlex.quote(f"{caches}/{folder}")}' for name, folder in CACHES.items()]
    digest = Path(f"{image}.sha256")  # which containers/build.sh writes, and the container need not see
    sha256 = shlex.quote(digest.read_text().strip()) if digest.is_file() else ""
    return " ".join(["env", *folders, f"SIMCLR_IMAGE={shlex.quote(image)}", f"SIMCLR_IMAGE_SHA256={sha256}", "python"])


def check_image(container: str) -> None:
    """Raise UserError where the image that the config names is missing or cannot be started."""
    image = image_of(container)
    if "://" not in image and not Path(image).exists():
        raise UserError(
            f"container: {container} does not exist: make it with the repository's containers/build.sh, or name another"
        )
    if len(image.split()) > 1:
        raise UserError(
            f"container: Snakemake can't start an image whose path contains a space: move or rename {image}"
        )


def check_gpu(arguments: str) -> None:
    """Raise UserError where Apptainer's arguments do not show the container the GPU."""
    if "--nv" not in shlex.split(arguments):
        raise UserError("steps in the container would not see the GPU: add --nv, as in --apptainer-args=--nv")


def check_data(paths: Mapping[str, Path], arguments: str) -> None:
    """Raise UserError where the container would not see a file or folder of the user; `paths` has them by their key."""
    mounted = [Path.cwd(), Path(os.sep, "tmp"), *bound_folders(arguments, os.environ)]
    for key, path in paths.items():
        folder = path.resolve()
        folder = folder.parent if folder.is_file() else folder  # beside a table lies what it names
        if not any(folder.is_relative_to(place.resolve()) for place in mounted):
            raise UserError(
                f"{key}: the container does not see {folder}: bind it, as in --apptainer-args='--bind {folder}'"
            )


def bound_folders(arguments: str, environment: Mapping[str, str]) -> list[Path]:
    """Return the folders that Apptainer's arguments or environment bind to the same place in the container."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--bind", "-B", action="append", default=[])
    parser.add_argument("--mount", action="append", default=[])
    known, _ = parser.parse_known_args(shlex.split(arguments))
    variables = [f"{program}_{name}" for program in ("APPTAINER", "SINGULARITY") for name in ("BIND", "BINDPATH")]
    binds = ",".join([*known.bind, *(environment.get(name, "") for name in variables)]).split(",")
    places = [(bind.split(":") * 2)[:2] for bind in binds if bind]
    for mount in known.mount:
        fields = dict(field.partition("=")[::2] for field in mount.split(","))
        source, target = (fields.keys() & names for names in ({"source", "src"}, {"destination", "dst", "target"}))
        places += [[fields[source.pop()], fields[target.pop()]]] if source and target else []
    return [Path(source) for source, target in places if Path(source) == Path(target)]
