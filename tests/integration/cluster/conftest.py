"""A real SLURM cluster: two virtual nodes on this machine, no accounting, stand-ins for GPUs.

The steps run in the container, as the profile tells, where SIMCLR_TEST_IMAGE names an image.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.cluster.project import SLOW_ENCODER, NewProject, Project, StartFrom, config, profile
from tests.integration.cluster.slurm import Cluster, skip_without_slurm
from tests.integration.conftest import snakemake


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    skip_without_slurm()
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the data are prepared."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "config.yaml").write_text(yaml.safe_dump(config([0])))
    shutil.copy(SLOW_ENCODER, folder)
    snakemake(folder, "--configfile", str(folder / "config.yaml"), "--", "prepare_all")
    return folder


@pytest.fixture
def new_project(cluster: Cluster, tmp_path: Path) -> Iterator[NewProject]:
    """Return a function that makes a project; when the test has ended, however it did, nothing of it runs on."""
    projects = []

    def new(content: dict[str, Any], profile: dict[str, Any], folder: Path | None = None) -> Project:
        place = tmp_path / "project"
        shutil.copytree(folder, place) if folder else place.mkdir()
        projects.append(Project(place, cluster, content, profile))
        return projects[-1]

    yield new
    for project in projects:
        project.leave()


@pytest.fixture
def start_from(new_project: NewProject, prepared: Path) -> StartFrom:
    """Return a function that makes a project with prepared data, whose pretraining asks for other resources."""

    def start(content: dict[str, Any], **options: Any) -> Project:
        return new_project(content, profile(**options), prepared)

    return start
