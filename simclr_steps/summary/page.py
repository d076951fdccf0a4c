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
from jinja2 import Environment, Template
from markupsafe import Markup

from simclr_steps.durations import duration
from simclr_steps.figures.page_style import STYLE
from simclr_steps.summary.batch_effects import MEANING, as_table
from simclr_steps.summary.best import order, unranked
from simclr_steps.summary.captions import PLOTS
from simclr_steps.summary.checks import checks
from simclr_steps.summary.collected import Collected
from simclr_steps.summary.compared import PAIRED
from simclr_steps.summary.contents import contents
from simclr_steps.summary.data_facts import data_facts
from simclr_steps.summary.headline import APART, BALANCED, SPREAD, SPREAD_OF_GROUPS, Headline
from simclr_steps.summary.leaderboard import as_html
from simclr_steps.summary.next_steps import NextStep
from simclr_steps.summary.notes import Note, grave, others
from simclr_steps.summary.origin import what_ran
from simclr_steps.summary.protocol import as_config, protocol
from simclr_steps.summary.provenance import hardware, provenance
from simclr_steps.summary.run_results import RunResults
from simclr_steps.summary.side_by_side import side_by_side
from simclr_steps.summary.tables import SPLIT_NAMES, Table, comparison, finetuned, frozen, worst_classes
from simclr_steps.summary.words import explained

# The script is no template; its suffix makes it part of this module's code hash.
_TEMPLATE, _SCRIPT = (Path(__file__).with_suffix(f".{kind}.j2") for kind in ("html", "js"))


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
    headlines = sorted(found.headlines, key=lambda one: found.ranked.index(one.title))
    seeds = _by_title(found.runs)
    sections = {one.title: f"results-{number}" for number, one in enumerate(headlines, 1)}
    is_of_run = summary is not None
    return _template(folder, is_of_run).render(
        style=STYLE,
        script=Markup(_SCRIPT.read_text(encoding="utf-8")),  # noqa: S704 (the package's own)
        whose=whose,
        summary=summary,
        runs=found.runs,
        headlines=headlines,
        sections=sections,
        steps=steps,
        predicted=predicted,
        mistakes=mistakes,
        notes=others(notes),
        figures=[_figure(name, *plots[name]) for name in PLOTS if name in plots],
        cost=cost,
        **_first_screen(found, headlines, seeds, sections, grave(notes), is_of_run),
        **_results(found, headlines, seeds, sections),
        **_data_and_origin(found),
    )


def _by_title(runs: Sequence[RunResults]) -> dict[str, list[RunResults]]:
    """Return the runs of each data set and pretraining, those of its seeds, by its title."""
    seeds: dict[str, list[RunResults]] = {}
    for run in runs:
        seeds.setdefault(run.run.title, []).append(run)
    return seeds


def _template(folder: Path, is_of_run: bool) -> Template:
    """Return the template of a page in `folder`, which links to the pictures of its run, but contains those of many."""

    def beside(path: Path) -> str:
        return quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix()))

    environment = Environment(autoescape=True)
    environment.filters |= {
        "duration": duration,
        "hardware": hardware,
        "pretty": _pretty,
        "contents": contents,
        "protocol": protocol,
        "beside": beside,
        "picture": beside if is_of_run else _inline,
    }
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))


def _first_screen(
    found: Collected,
    headlines: Sequence[Headline],
    seeds: Mapping[str, list[RunResults]],
    sections: Mapping[str, str],
    warnings: Sequence[str],
    is_of_run: bool,
) -> dict[str, Any]:
    """Return what the page begins with: answers, what speaks for and against them, and the words to explain there."""
    answers = sorted(found.answers, key=lambda one: found.ranked.index(one.title))
    shown = [answer for answer in answers if answer.title in found.in_full]
    checked = {
        one.title: checks(
            one,
            seeds[one.title],
            found.descriptions[one.dataset],
            found.effects,
            sections[one.title],
            of_all_seeds=not is_of_run,
        )
        for one in headlines
        if one.title in found.in_full
    }
    is_brief = len(answers) > 1  # then, only the first sentence and the doubts of each are there
    sentences = [sentence for answer in shown for sentence in answer.sentences[: 1 if is_brief else None]]
    figures = [check.figure for of_one in checked.values() for check in of_one if not (is_brief and check.passed)]
    return {
        "facts": what_ran(found.runs, found.descriptions),
        "answers": answers,
        "checks": checked,
        "first": warnings,
        "words": explained([*warnings, *sentences, *figures]),
        "order": order(headlines),
        "unranked": unranked(headlines),
    }


def _results(
    found: Collected,
    headlines: Sequence[Headline],
    seeds: Mapping[str, list[RunResults]],
    sections: Mapping[str, str],
) -> dict[str, Any]:
    """Return the tables of what was measured, of all pretrainings and of those shown in full, and whose pictures."""
    shown = found.in_full
    by_title = found.shown.groupby(["dataset", "pretrain"])
    rows = {f"{dataset}, {pretrain}": part for (dataset, pretrain), part in by_title}
    by_split: dict[tuple[str, str], list[Headline]] = {}  # only what is measured on one split is compared
    for one in headlines:
        by_split.setdefault((one.dataset, one.split), []).append(one)
    alike = {split: pd.concat([rows[one.title] for one in of_it]) for split, of_it in by_split.items()}
    ranked = {split: of_it for split, of_it in by_split.items() if len(of_it) > 1 and not unranked(of_it)}
    opened = [seeds[title][0] for title in shown]
    return {
        "measured": any(len(one.accuracy) for one in headlines),
        "leaderboard": as_html(found.boards, sections),
        "comparisons": {split: cells for split, part in alike.items() if (cells := comparison(part))},
        "side_by_side": {split: side_by_side(of_it, seeds) for split, of_it in ranked.items()},
        "differences": found.differences,
        "paired": PAIRED,
        "apart": APART,
        "balanced": BALANCED,
        "spread": SPREAD_OF_GROUPS if any(one.groups for one in headlines) else SPREAD,
        "meanings": list(dict.fromkeys(line for one in headlines for line in one.meanings())),
        "split_names": SPLIT_NAMES,
        "shown": shown,
        "frozen": {title: cells for title in shown if (cells := frozen(rows[title]))},
        "finetuned": {title: cells for title in shown if (cells := finetuned(rows[title]))},
        "worst": {title: _worst(seeds[title]) for title in shown},
        "metadata": as_table(found.effects),
        "metadata_meaning": MEANING,
        "opened": opened,
        "pictured": opened if len(opened) == len(seeds) else opened[:1],
        "pages": _pages(found, sections) if found.settings.has_pages else {},
    }


def _data_and_origin(found: Collected) -> dict[str, Any]:
    """Return what the page ends with: the data sets, the protocol of measuring, and where all results come from."""
    return {
        "datasets": {name: data_facts(description) for name, description in found.descriptions.items()},
        "unread": _unread(found.runs),
        "told": [run for run in found.runs if run.run.title in found.in_full],
        "provenance": provenance(found.runs, found.descriptions),
        "config": yaml.safe_dump(as_config(found.runs, found.descriptions), sort_keys=False, allow_unicode=True),
    }


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


def _figure(name: str, path: Path, alt: str) -> dict[str, str]:
    caption = PLOTS[name]
    told = {"title": caption.title, "caption": caption.short, "alt": f"{caption.title}. {alt}"}
    return {"name": name, **told, "source": _inline(path)}


def _inline(path: Path) -> str:
    kind = "svg+xml" if path.suffix == ".svg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _pretty(records: dict[str, Any]) -> str:
    return json.dumps(records, indent=2, ensure_ascii=False)
