"""Names of networks and weights that timm is asked about before anything runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from simclr_steps.files import canonical_json, read_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.settings.plan import Plan

_PACKAGE = Path(__file__).parents[1]
_LONGEST_WAIT = 120.0  # seconds, in which torch is loaded from a file system that is slow
_Name = tuple[str, str, bool]  # its key in the config, timm:NAME or timm:NAME.TAG, and whether weights are wanted


def check_timm_names(plan: Plan, place: Callable[[str], str]) -> None:
    """Ask timm for the networks and weights that a plan names and that no finished step has used.

    Another process does, as timm loads torch, which takes seconds; where it cannot, or not in time, which a line says,
    the steps tell later.

    Parameters
    ----------
    place
        Returns where a path below the workflow's folder is.

    Raises
    ------
    UserError
        When timm has none of that name; the message names the key.
    """
    used = set(_used(plan, place))
    names = [name for name in _named(plan) if name[1] not in used]
    if not names:
        return
    command = [sys.executable, "-m", "simclr_steps.networks.timm_names", canonical_json(names)]
    environment = {**os.environ, "PYTHONPATH": str(_PACKAGE.parent), "PYTHONSAFEPATH": "1"}
    asked = subprocess.Popen(  # noqa: S603 - without a shell
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        answer, _ = asked.communicate(timeout=_LONGEST_WAIT)
    except subprocess.TimeoutExpired:
        asked.kill()  # and not waited for, as a file system that hangs may hold it
        log.warning(
            "warning: going on without asking timm for the networks that the config names, as importing it took more "
            "than %g s: a name that it does not know stops the step that needs it",
            _LONGEST_WAIT,
        )
        return
    except BaseException:
        asked.kill()
        raise
    if asked.returncode == 0 and (wrong := answer.strip()):
        raise UserError(wrong)


def _named(plan: Plan) -> Iterator[_Name]:
    for name, block in plan.pretrains.items():
        if block.encoder.startswith("timm:"):
            yield f"pretrains.{name}.encoder", block.encoder, block.published_weights is not None
    for folder, tuned in plan.finetunings.items():
        if tuned.published and tuned.published.encoder.startswith("timm:"):
            yield f"finetunes.{Path(folder).name}.init", tuned.published.encoder, True
    for number, entry in enumerate(plan.config.compare):
        for name, weights in ((entry.weights, True), (entry.encoder or "", False)):
            if name.startswith("timm:"):
                yield f"compare.{number}", name, weights


def _used(plan: Plan, place: Callable[[str], str]) -> Iterator[str]:
    """Yield the names that finished steps have used."""
    for name, weights in plan.published.items():
        if Path(place(f"resources/weights/{name}.json")).exists():
            yield weights.encoder
    for folder, (_, name) in plan.trainings.items():
        record = Path(place(f"results/{folder}/pretrain/run.json"))
        if plan.pretrains[name].encoder.startswith("timm:") and record.exists():
            try:
                yield str(read_json(record)["settings"]["encoder"])
            except (UserError, KeyError, TypeError):  # a damaged record is no proof
                continue
