from functools import cache

from snakemake.logging import logger


@cache
def warn_of_triggers():
    """Warn once where Snakemake would not rerun exactly what a change affects.

    workflow/profiles/default sets the right triggers, but is not part of a deployed copy.
    """
    if IS_MAIN_PROCESS and rerun_triggers() != {"mtime", "params", "input"}:
        logger.warning(
            "warning: without --rerun-triggers mtime params input, a step may run again after a change that does not "
            "affect it, or not run again after one that does"
        )


def no_files(wildcards):
    """Return no input: a function of an input is the first to be called that knows the rerun triggers."""
    warn_of_triggers()
    return []
