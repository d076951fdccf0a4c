"""What made all results: code, data, versions, container, hardware, and the time that it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simclr_steps.data.packed import Description
from simclr_steps.durations import duration
from simclr_steps.files import canonical_json
from simclr_steps.summary.protocol import STEPS
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.tables import Table


def provenance(runs: Sequence[RunResults], descriptions: Mapping[str, Description]) -> Table:
    """Return a line for each kind of thing; what differs between steps is listed."""
    every = [record for run in runs for stage, record in run.records.items() if stage != "linear"]
    records = list({canonical_json(record): record for record in every}.values())  # runs share what they are beside
    versions: dict[str, set[str]] = {}
    for record in records:
        for package, version in (record.get("versions") or {}).items():
            versions.setdefault(package, set()).add(version)
    codes: dict[str, set[str]] = {}
    for run in runs:
        for stage, record in run.records.items():
            codes.setdefault(STEPS.get(stage, stage.split()[0]), set()).add(record.get("code_hash", "unknown"))
    images = {_image(record.get("image")) for record in records}
    return [
        ["seeds", ", ".join(map(str, sorted({run.run.seed for run in runs})))],
        ["code of the steps", ", ".join(f"{step} {' or '.join(sorted(hashes))}" for step, hashes in codes.items())],
        ["data", ", ".join(f"{name} {one.content_hash[:16]}" for name, one in descriptions.items())],
        ["versions", ", ".join(f"{package} {' or '.join(sorted(numbers))}" for package, numbers in versions.items())],
        ["container image", ", ".join(sorted(images))],
        ["hardware", "; ".join(sorted({hardware(record.get("hardware")) for record in records}))],
        ["total time of all steps", duration(sum(record.get("seconds", 0) for record in records))],
    ]


def hardware(found: dict[str, Any] | None) -> str:
    """Return what a record says of its hardware; those of older versions say less."""
    if not found:
        return "unknown"
    counts = [f"{found[key]} {key}" for key in ("cores", "threads") if found.get(key)]
    return ", ".join([*found.get("gpus", []), found.get("processor") or "unknown processor", *counts])


def _image(image: dict[str, Any] | None) -> str:
    return f"{image.get('file')} (sha256 {image.get('sha256') or 'unknown'})" if image else "none"
