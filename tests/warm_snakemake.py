"""Snakemake with its plugins imported, for the processes that tests/forked.py forks."""

from __future__ import annotations

from snakemake.cli import get_argument_parser

get_argument_parser()  # finds them
