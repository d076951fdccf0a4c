"""The real image that some tests run steps in."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

IMAGE = Path(os.environ.get("SIMCLR_TEST_IMAGE", "no-image"))  # Snakemake takes no name with a space
HAS_IMAGE = IMAGE.exists() and shutil.which("apptainer") is not None
needs_image = pytest.mark.skipif(
    not HAS_IMAGE,
    reason="needs Apptainer, and SIMCLR_TEST_IMAGE to name an image that containers/build.sh made",
)
