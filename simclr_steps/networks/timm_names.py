"""Names of timm's networks and of the weights that it publishes of them.

`python -m simclr_steps.networks.timm_names NAMES` prints what is wrong with the first wrong one of them.
"""

from __future__ import annotations

import difflib
import json
import sys

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import did_you_mean


def check_timm_name(encoder: str, *, weights: bool) -> None:
    """Raise UserError when timm has no network of the name or, if `weights`, publishes none of the tag in it."""
    try:
        import timm  # slow to import, and few need it
    except ImportError as error:
        raise UserError(f"encoder: {encoder} needs timm, which is not installed: install it") from error
    name = encoder.removeprefix("timm:")
    network = name.partition(".")[0]
    if not timm.is_model(network):
        near = difflib.get_close_matches(network, timm.list_models(), n=1)  # of more than a thousand
        advice = f'did you mean "timm:{near[0]}"?' if near else "timm.list_models() lists all"
        raise UserError(f'encoder: timm {timm.__version__} has no network "{network}"; {advice}')
    tags = timm.list_pretrained(f"{network}.*")
    if weights and name not in tags:
        advice = did_you_mean(name, tags) if tags else "write init: random, or the path of a file of weights"
        raise UserError(f'encoder: timm {timm.__version__} has no published weights "{name}"; {advice}')


def main(names: str) -> None:
    """Print what is wrong with names: JSON, for each its key in the config, itself, and whether weights are wanted."""
    for key, encoder, weights in json.loads(names):
        try:
            check_timm_name(encoder, weights=weights)
        except UserError as error:
            print(f"{key}: {str(error).removeprefix('encoder: ')}")
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
