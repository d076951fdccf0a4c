import os
import sys
from contextlib import contextmanager
from pathlib import Path


def copy_package():
    """Return the folder of Snakemake's copy of the steps: visible wherever a job runs, unchanged while all run.

    MANIFEST lists the files, since a git repository that a workflow is read from lists none.
    """
    manifest = Path(workflow.source_path("../../simclr_steps/MANIFEST")).read_text(encoding="utf-8")
    copies = {name: workflow.source_path(f"../../simclr_steps/{name}") for name in manifest.split()}
    return Path(copies["__main__.py"]).parent


PACKAGE = copy_package()
sys.path.insert(0, str(PACKAGE.parent))

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.visible import visible
from simclr_steps.settings.reading import read_yaml


@contextmanager
def one_sentence(kind):
    """Stop Snakemake with one sentence if the block finds a mistake of the user."""
    try:
        yield
    except UserError as error:
        sys.exit(visible(f"{kind}: {error}"))


with one_sentence("error"):
    if os.pathsep in str(PACKAGE.parent):  # PYTHONPATH cannot hold it
        raise UserError(
            f'Python cannot search the folder {PACKAGE.parent}, whose path contains "{os.pathsep}": move or rename the '
            "folder of the workflow or, if it is the cache's, set XDG_CACHE_HOME to another"
        )
