"""What Snakemake does not document is used in one file, so that a new version of it affects only one file."""

from __future__ import annotations

import re

from tests.workflow.conftest import ROOT

DOCUMENTED = {"basedir", "source_path"}


def test_attributes_of_workflow_are_read_in_one_file() -> None:
    found = {
        file.name: attributes
        for file in [ROOT / "workflow/Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
        if (attributes := set(re.findall(r"\bworkflow\.(?!rst)(\w+)", file.read_text())) - DOCUMENTED)
    }
    assert set(found) == {"snakemake.smk"}


def test_oldest_allowed_version_is_the_one_that_the_lock_file_holds() -> None:
    snakefile, lock = ((ROOT / name).read_text() for name in ("workflow/Snakefile", "requirements.lock"))
    oldest = re.search(r'^min_version\("(.+)"\)$', snakefile, re.MULTILINE)
    locked = re.search(r"^snakemake==(.+?) ", lock, re.MULTILINE)
    assert oldest and locked and locked[1].startswith(f"{oldest[1]}.")
