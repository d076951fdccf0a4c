"""Run a step: simclr STEP --help, or python -m simclr_steps STEP --help."""

from __future__ import annotations

import errno
import os
import sys
from typing import NoReturn

from simclr_steps import __version__
from simclr_steps.cli.parser import parse, run
from simclr_steps.cli.table import STEPS
from simclr_steps.files import is_full
from simclr_steps.machine.errors import Stopped, UserError
from simclr_steps.machine.exits import exit_at_once
from simclr_steps.machine.logs import log, start_logging
from simclr_steps.machine.processes import (
    die_with_parent,
    end_with_starter,
    forget_foreign_ranks,
    join_nodes,
    leads,
)
from simclr_steps.machine.signals import end_on_sigterm
from simclr_steps.machine.surroundings import settle
from simclr_steps.networks.user_code import fault_of_own_code

# What the system says of a path that is a user's affair.
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG}

INSTALLING = (
    f"install requirements.lock of simclr-workflow {__version__} with pip install -r, or run Snakemake with "
    "--software-deployment-method conda or apptainer"
)


def is_dependency(module: str) -> bool:
    """Return whether a module is neither Python's nor this package's."""
    return module.split(".")[0] not in {"", "simclr_steps", *sys.stdlib_module_names}


def _stop_behind(error: BaseException) -> Stopped | None:
    """Return the stop that an error came from, as when what was being written could not be closed in good order."""
    before: BaseException | None = error
    while before:
        if isinstance(before, Stopped):
            return before
        before = before.__cause__ or before.__context__
    return None


def main() -> int:
    """Run the step that the command line names; return the exit status."""
    end_on_sigterm()
    arguments = parse(sys.argv[1:])
    end_on_sigterm(resumes=STEPS[arguments.step].logs)
    nodes = getattr(arguments, "hardware.nodes", 1)
    forget_foreign_ranks(nodes)
    if not leads():
        die_with_parent()
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # else each would tell when another is gone
    try:
        join_nodes(nodes)
        start_logging(arguments.step, arguments.log, quiet=arguments.quiet)
        settle()
        if leads():
            end_with_starter()
        run(STEPS[arguments.step], arguments)
    except UserError as error:
        log.error("error: %s", error)
        return 1
    except Stopped as stopped:
        log.warning("%s", stopped)
        return stopped.status
    except KeyboardInterrupt:
        log.error("stopped by the user")
        return 130
    except BaseException as error:  # SystemExit, too, which would end the step as if it were done
        if stop := _stop_behind(error):
            log.warning("%s", stop)
            return stop.status
        if is_full(error):
            log.error("error: the disk is full (%s): free some space and run again", error)
            return 1
        if isinstance(error, OSError) and error.errno in REFUSED and error.filename:
            log.error("error: %s cannot be used (%s): fix the path or its permissions", error.filename, error.strerror)
            return 1
        if isinstance(error, ModuleNotFoundError) and is_dependency(error.name or ""):
            log.error("error: %s is not installed: %s", error.name, INSTALLING)
            return 1
        if fault := fault_of_own_code(error):
            log.error("error: %s", fault)
            return 1
        log.exception("this is a bug in the program, not in your input: please report it with the lines below")
        return 70
    return 0


def command() -> NoReturn:
    """Run the step that the command line names as a process of its own."""
    exit_at_once(main())


if __name__ == "__main__":
    command()
