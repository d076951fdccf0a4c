"""Run a step: python -m simclr_steps STEP --help."""

from __future__ import annotations

import sys

from simclr_steps.cli import parser
from simclr_steps.errors import UserError
from simclr_steps.logs import log, start_logging


def main() -> int:
    """Run the step that the command line names; return the exit status."""
    arguments = parser().parse_args()
    start_logging(arguments.step, arguments.log)
    try:
        arguments.run(arguments)
    except UserError as error:
        log.error("error: %s", error)
        return 1
    except KeyboardInterrupt:
        log.error("stopped by the user")
        return 130
    except Exception:
        log.exception("this is a defect of the program, not of your input: please report it with the lines below")
        return 70
    return 0


if __name__ == "__main__":
    sys.exit(main())
