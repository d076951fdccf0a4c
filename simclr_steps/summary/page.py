"""The summary as a single, self-contained page, and that of a run beside its results."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import yaml
from jinja2 import Environment
from markupsafe import Markup

from simclr_steps.data.packed import Description
from simclr_steps.data.scaling import is_plain
from simclr_steps.durations import duration
from simclr_steps.figures.page_style import STYLE
from simclr_steps.files import canonical_json
from simclr_steps.settings.image_format import ImageFormat, counted_channels
from simclr_steps.summary.batch_effects import MEANING, as_table
from simclr_steps.summary.best import order, unranked
from simclr_steps.summary.captions import PLOTS
from simclr_steps.summary.checks import checks
from simclr_steps.summary.collected import Collected
from simclr_steps.summary.compared import PAIRED
from simclr_steps.summary.contents import contents
from simclr_steps.summary.headline import APART, BALANCED, SPREAD, SPREAD_OF_GROUPS, Headline
from simclr_steps.summary.leaderboard import as_html
from simclr_steps.summary.next_steps import NextStep
from simclr_steps.summary.notes import Note, grave, others
from simclr_steps.summary.origin import what_ran
from simclr_steps.summary.protocol import STEPS, as_config, plain, protocol
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.side_by_side import side_by_side
from simclr_steps.summary.tables import SPLIT_NAMES, Table, comparison, finetuned, frozen, worst_classes
from simclr_steps.summary.words import explained

# The script is no template; its suffix makes it part of this module's code hash.
_TEMPLATE, _SCRIPT = (Path(__file__).with_suffix(f".{kind}.j2") for kind in ("html", "js"))
_MOST_CLASSES = 20  # whose images are counted in a row


def page(
    found: Collected,
    *,
    whose: Sequence[str],
    plots: Mapping[str, tuple[Path, str]],
    predicted: Markup,
    mistakes: Markup,
    notes: Sequence[Note],
    steps: Sequence[NextStep],
    cost: Table,
    folder: Path,
    summary: Path | None = None,
) -> str:
    """Return the HTML of a page that will lie in `folder`.

    Takes sentences on whose page it is, the SVG file of each plot and what it shows in words, the section on
    predictions, the paths of mistakes, notes, also on what could not be measured, what to do next, and what the steps
    cost. Of a pretraining it shows one seed's pictures.
    The page of a run lies beside its pictures, to which it links, and names that of all runs, the `summary`.
    """
    runs, descriptions, effects = found.runs, found.descriptions, found.effects
    shown = found.in_full
    headlines = sorted(found.headlines, key=lambda one: found.ranked.index(one.title))
    answers = sorted(found.answers, key=lambda one: found.ranked.index(one.title))
    seeds: dict[str, list[RunResults]] = {}
    for run in runs:
        seeds.setdefault(run.run.title, []).append(run)
    opened = [seeds[title][0] for title in shown]
    rows = {
        f"{dataset}, {pretrain}": part for (dataset, pretrain), part in found.shown.groupby(["dataset", "pretrain"])
    }
    by_split: dict[tuple[str, str], list[Headline]] = {}  # only what is measured on one split is compared
    for one in headlines:
        by_split.setdefault((one.dataset, one.split), []).append(one)
    alike = {of_both: pd.concat([rows[one.title] for one in several]) for of_both, several in by_split.items()}
    sections = {one.title: f"results-{number}" for number, one in enumerate(headlines, 1)}
    in_full = {one.title: one for one in headlines if one.title in shown}
    checked = {
        title: checks(
            one, seeds[title], descriptions[one.dataset], effects, sections[title], of_all_seeds=summary is None
        )
        for title, one in in_full.items()
    }

    is_brief = len(answers) > 1  # on its first screen: the first sentence and the doubts of each
    sentences = [answer.sentences[: 1 if is_brief else None] for answer in answers if answer.title in shown]
    on_first_screen = [sentence for of_one in sentences for sentence in of_one]
    on_first_screen += [
        check.figure for of_one in checked.values() for check in of_one if not (is_brief and check.passed)
    ]

    def beside(path: Path) -> str:
        return quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix()))

    environment = Environment(autoescape=True)
    environment.filters |= {
        "duration": duration,
        "hardware": _hardware,
        "pretty": _pretty,
        "contents": contents,
        "protocol": protocol,
        "beside": beside,
        "picture": beside if summary else _inline,
    }
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        style=STYLE,
        facts=what_ran(runs, descriptions),
        answers=answers,
        checks=checked,
        sections=sections,
        steps=steps,
        headlines=headlines,
        runs=runs,
        spread=SPREAD_OF_GROUPS if any(one.groups for one in headlines) else SPREAD,
        paired=PAIRED,
        differences=found.differences,
        apart=APART,
        balanced=BALANCED,
        whose=whose,
        measured=any(len(one.accuracy) for one in headlines),
        predicted=predicted,
        leaderboard=as_html(found.boards, sections),
        mistakes=mistakes,
        first=grave(notes),
        words=explained([*grave(notes), *on_first_screen]),
        notes=others(notes),
        comparisons={of_both: cells for of_both, part in alike.items() if (cells := comparison(part))},
        side_by_side={
            of_both: side_by_side(several, seeds)
            for of_both, several in by_split.items()
            if len(several) > 1 and not unranked(several)
        },
        split_names=SPLIT_NAMES,
        frozen={title: cells for title in shown if (cells := frozen(rows[title]))},
        finetuned={title: cells for title in shown if (cells := finetuned(rows[title]))},
        worst={title: _worst(seeds[title]) for title in shown},
        metadata=as_table(effects),
        metadata_meaning=MEANING,
        meanings=list(dict.fromkeys(line for one in headlines for line in one.meanings())),
        datasets={name: _data(description) for name, description in descriptions.items()},
        figures=[_figure(name, *plots[name]) for name in PLOTS if name in plots],
        shown=shown,
        order=order(headlines),
        unranked=unranked(headlines),
        opened=opened,
        pictured=opened if len(opened) == len(seeds) else opened[:1],
        pages=_pages(found, sections) if found.settings.has_pages else {},
        summary=summary,
        unread=_unread(runs),
        told=[run for run in runs if run.run.title in shown],
        cost=cost,
        provenance=_provenance(runs, descriptions),
        script=Markup(_SCRIPT.read_text(encoding="utf-8")),  # noqa: S704 (the package's own)
        config=yaml.safe_dump(as_config(runs, descriptions), sort_keys=False, allow_unicode=True),
    )


def _unread(runs: Sequence[RunResults]) -> str:
    """Say what was chosen and measured on which split."""
    of_grids = (
        "Runs of a grid were measured on the hold-out, by which checkpoints and penalties are chosen, too, and "
        "read nothing of the test split."
    )
    of_others = "The test split was not used for any choice, only to measure the results."
    judges = {run.run.judged_by for run in runs}
    return " ".join([of_others] * ("test" in judges) + [of_grids] * ("validation" in judges))


def _pages(found: Collected, titles: Iterable[str]) -> dict[str, dict[int, Path]]:
    """Return the page of each run, by data set and pretraining and by seed."""
    pages: dict[str, dict[int, Path]] = {title: {} for title in titles}
    for run in found.settings.runs:
        pages[run.title][run.seed] = found.results / run.folder / "index.html"
    return pages


def _worst(runs: Sequence[RunResults]) -> Table:
    """Return the worst classes of each fine-tuning of one pretraining."""
    rows: dict[str, list[Any]] = {}
    for run in runs:
        for name, of_run in run.per_class.items():
            rows.setdefault(name, []).extend(of_run)
    return worst_classes(rows)


def _data(description: Description) -> dict[str, Table]:
    """Return what there is to know of a data set, and how many images each split has."""
    source = {key: value for key, value in description.source.items() if isinstance(value, str)}
    settings = description.run.get("settings") or {}
    classes, form = description.classes, description.image_format
    has_groups = any(split.groups is not None for split in description.splits.values())
    drawn = ", stratified by label" * bool(classes) + ", in whole groups" * has_groups
    facts = [
        ["source", plain(source)],
        ["images", _images(form)],
        ["classes", f"{len(classes)}: {', '.join(classes[:_MOST_CLASSES])}{', …' * (len(classes) > _MOST_CLASSES)}"]
        if classes
        else ["classes", "none: no image has a label"],
        ["hold-out", f"{settings['validation_fraction']:g} of the training images{drawn}"]
        if "validation_fraction" in settings
        else ["hold-out", "unknown"],
        ["skipped as unreadable", f"{len(description.skipped)} image{'s' * (len(description.skipped) != 1)}"],
        ["content hash", description.content_hash],
    ]
    counted = classes if len(classes) <= _MOST_CLASSES else ["of each class"]
    splits = [["split", "images", "labeled", *(["groups"] if has_groups else []), *counted]]
    for name, split in description.splits.items():
        per_class = [f"{count:,}" for count in split.per_class]
        if len(classes) > _MOST_CLASSES:
            per_class = [f"{min(split.per_class):,} to {max(split.per_class):,}"]
        groups = [f"{split.groups or 0:,}"] if has_groups else []
        splits.append([SPLIT_NAMES.get(name, name), f"{split.images:,}", f"{split.labeled:,}", *groups, *per_class])
    return {"facts": facts, "splits": splits}


def _images(form: ImageFormat) -> str:
    """Return the format of images in words, which say no more of plain 8 bits than their size and channels."""
    names = f" ({', '.join(form.channel_names)})" if form.channel_names else ""
    said = f"{form.height} × {form.width} pixels, {counted_channels(form.channels)}{names}"
    if is_plain(form):
        return said
    ranges = [f"{low:,.6g} to {high:,.6g}" for low, high in form.value_range]
    channels = form.channel_names or [f"channel {number}" for number in range(form.channels)]
    of_each = [f"{channel} {limits}" for channel, limits in zip(channels, ranges, strict=True)]
    return f"{said}, {form.bits} bits, range {ranges[0] if len(set(ranges)) == 1 else ', '.join(of_each)}"


def _provenance(runs: Sequence[RunResults], descriptions: Mapping[str, Description]) -> Table:
    """Return what made all results: what differs between steps is listed."""
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
        ["hardware", "; ".join(sorted({_hardware(record.get("hardware")) for record in records}))],
        ["total time of all steps", duration(sum(record.get("seconds", 0) for record in records))],
    ]


def _image(image: dict[str, Any] | None) -> str:
    return f"{image.get('file')} (sha256 {image.get('sha256') or 'unknown'})" if image else "none"


def _figure(name: str, path: Path, alt: str) -> dict[str, str]:
    caption = PLOTS[name]
    told = {"title": caption.title, "caption": caption.short, "alt": f"{caption.title}. {alt}"}
    return {"name": name, **told, "source": _inline(path)}


def _inline(path: Path) -> str:
    kind = "svg+xml" if path.suffix == ".svg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _hardware(hardware: dict[str, Any] | None) -> str:
    """Return what a record says of its hardware; those of older versions say less."""
    if not hardware:
        return "unknown"
    counts = [f"{hardware[key]} {key}" for key in ("cores", "threads") if hardware.get(key)]
    return ", ".join([*hardware.get("gpus", []), hardware.get("processor") or "unknown processor", *counts])


def _pretty(records: dict[str, Any]) -> str:
    return json.dumps(records, indent=2, ensure_ascii=False)
