import time
from functools import cache

from snakemake.logging import logger

from simclr_steps.files import write_json
from simclr_steps.machine.clock import bring_to_present
from simclr_steps.machine.failures import failures
from simclr_steps.machine.planned import STAGES
from simclr_steps.settings.adopted import check_adopted
from simclr_steps.settings.asked_of_timm import check_timm_names
from simclr_steps.settings.raised_epochs import raised_epochs

STARTED = time.time()


def warn_of_triggers():
    """Warn where Snakemake would not rerun exactly what a change affects.

    workflow/profiles/default sets the right triggers, but is not part of a deployed copy.
    """
    if rerun_triggers() != {"mtime", "params", "input"}:
        logger.warning(
            "warning: without --rerun-triggers mtime params input, a step may run again after a change that does not "
            "affect it, or not run again after one that does"
        )


def bring_results_to_present():
    """Ensure that no result has a time in the future: Snakemake would delete what is made from it as outdated."""
    count = bring_to_present([undeclared("resources"), undeclared("results")])
    if count:
        logger.warning(
            f"warning: the clock was wrong: {count} result files were dated in the future and are now dated the present"
        )


@cache
def start():
    """Check once, before anything runs, what Snakemake itself does not check."""
    if IS_MAIN_PROCESS:
        warn_of_triggers()
        bring_results_to_present()
        with one_sentence("config error"):
            if not (IN_CONTAINER or IN_CONDA):  # whose timm may know other names
                check_timm_names(PLAN, undeclared)
        with one_sentence("error"):
            check_adopted(PLAN, undeclared, knows_or_forces, recorded_files, own_code)
        for sentence in raised_epochs(PLAN, undeclared):
            logger.warning(f"note: {sentence}")


def no_files(wildcards):
    """Return no input: a function of an input is the first to be called that knows Snakemake's settings and notes."""
    start()
    return []


def write_plan():
    with one_sentence("error"):
        write_json(Path(undeclared("work/plan.json")), planned_jobs(STAGES))


onstart:  # not in a dry run, nor in the process of a job
    hide_finished_jobs()
    write_plan()


as_module_starts(write_plan)


onerror:
    for line in failures(Path(undeclared("logs")), STARTED):
        logger.error(line)
