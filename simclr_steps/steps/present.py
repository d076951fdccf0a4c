"""Show a run on a page of its own, beside its results."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.settings.runs import SummarySettings
from simclr_steps.summary.collected import collect
from simclr_steps.summary.written_page import write_page


def present(
    settings: SummarySettings, *, results: Path, resources: Path, benchmarks: Path | None = None, out: Path
) -> None:
    """Write the page of the run in `settings`: what the summary shows of it if it is among the best.

    The page lies beside the results, below `results`, and shows the pictures there; below `resources` are the data.

    Raises
    ------
    UserError
        When the settings name no run, or several.
    """
    if len(settings.runs) != 1:
        raise UserError(f"runs: a page shows one run, but there are {len(settings.runs)}: give one")
    found = collect(settings, results, resources)
    with TemporaryDirectory() as plots:  # which the page holds
        summary = results / "summary.html"
        write_page(found, out, Path(plots), kinds=["svg"], benchmarks=benchmarks, summary=summary)
    log.info("page: %s", out)
