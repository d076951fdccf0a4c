"""Show a run on a page of its own, beside its results."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from simclr_steps.files import write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.machine.provenance import Record
from simclr_steps.settings.runs import SummarySettings
from simclr_steps.summary.collected import collect
from simclr_steps.summary.written_page import write_page


def present(
    settings: SummarySettings, *, results: Path, resources: Path, benchmarks: Path | None = None, out: Path
) -> None:
    """Write the page of the run in `settings`: what the summary shows of it if it is among the best.

    Writes index.html and, as its record, index.json into `out`, the folder of the run's results below `results`, whose
    pictures the page shows; below `resources` are the data.

    Raises
    ------
    UserError
        When the settings name no run, or several.
    """
    if len(settings.runs) != 1:
        raise UserError(f"runs: a page shows one run, but there are {len(settings.runs)}: give one")
    record = Record("present", settings, None)
    found = collect(settings, results, resources)
    with TemporaryDirectory() as plots:  # which the page holds
        summary = results / "summary.html"
        write_page(found, out / "index.html", Path(plots), kinds=["svg"], benchmarks=benchmarks, summary=summary)
    write_json(out / "index.json", record.finish())
    log.info("page: %s", out / "index.html")
