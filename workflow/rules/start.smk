from functools import cache

from snakemake.logging import logger

from simclr_steps.settings.adopted import check_adopted


def warn_of_triggers():
    """Warn where Snakemake would not rerun exactly what a change affects.

    workflow/profiles/default sets the right triggers, but is not part of a deployed copy.
    """
    if rerun_triggers() != {"mtime", "params", "input"}:
        logger.warning(
            "warning: without --rerun-triggers mtime params input, a step may run again after a change that does not "
            "affect it, or not run again after one that does"
        )


@cache
def start():
    """See once, before anything runs, to what Snakemake itself does not."""
    if IS_MAIN_PROCESS:
        warn_of_triggers()
        with one_sentence("error"):
            check_adopted(PLAN, undeclared, knows_or_forces)


def no_files(wildcards):
    """Return no input: a function of an input is the first to be called that knows Snakemake's settings and notes."""
    start()
    return []
