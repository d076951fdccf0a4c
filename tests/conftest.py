"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `gpu` where there is none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and there is none"))


@pytest.fixture(scope="session")
def originals() -> Path:
    """Return the folder of real CIFAR-10 and MNIST files."""
    folder = os.environ.get("SIMCLR_TEST_DATA")
    if not folder:
        pytest.skip("SIMCLR_TEST_DATA names no folder with the files of CIFAR-10 and MNIST")
    return Path(folder)
