"""The combinations of each grid by their accuracy on the hold-out, and the best one as a block to run by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup

from simclr_steps.files import canonical_json
from simclr_steps.settings.runs import Run
from simclr_steps.summary.budgets import budgets, in_order, written
from simclr_steps.summary.headline import SPREAD, SPREAD_OF_GROUPS
from simclr_steps.summary.intervals import Spread, spread_of
from simclr_steps.summary.protocol import plain
from simclr_steps.summary.sweeps import ordered, with_grids
from simclr_steps.summary.tables import Table

FLATTERED = (
    "Choosing the best of many makes it look better than it is: part of its lead is chance, and where intervals "
    "overlap, another may be better on new images."
)
_TEMPLATE = Path(__file__).with_suffix(".html.j2")
_DARKEST = (116, 169, 207)  # of a heat map, on which black text can be read


@dataclass(frozen=True)
class Place:
    """One combination of a grid's values."""

    values: Mapping[str, Any]
    pretrain: str
    spread: Spread  # over seeds and draws of labels


@dataclass(frozen=True)
class Cell:
    """One combination in a heat map; without a color where it was not measured."""

    text: str
    color: str


@dataclass(frozen=True)
class Leaderboard:
    """One grid on one data set."""

    dataset: str
    block: str  # that the grid is laid over
    figure: str  # what decides, in words
    keys: list[str]
    places: list[Place]  # the best first
    is_run: bool  # the best one, by itself
    winner: str  # what a config needs to run it by itself

    @property
    def title(self) -> str:
        """Name the data set and the block."""
        return f"{self.dataset}, {self.block}"

    @property
    def judged(self) -> str:
        """Say what decides, and on how many images."""
        images = self.places[0].spread.images
        return f"{self.figure}, on the hold-out{f' of {images:,} images' if images else ''}"

    @property
    def spread(self) -> str:
        """Say what the numbers are."""
        return SPREAD_OF_GROUPS if self.places[0].spread.by_group else SPREAD

    @property
    def advice(self) -> str:
        """Say what to do with the best."""
        if self.is_run:
            title = f"{self.dataset}, {self.places[0].pretrain}"
            return f"The best one was run by itself, too: {title} below has its accuracies on the test split."
        return (
            "To measure the best one on the test split, add its block and its experiment below the keys that the "
            "config has, the latter behind that of the grid, so that nothing is trained twice. Only that run, by "
            "itself, reads the test split:"
        )

    def cells(self) -> Table:
        """Return the table: a header, then a row for each combination, the best one marked."""
        rows = [
            ["1, best" if number == 1 else str(number), *_values(place, self.keys), place.spread.counted()]
            for number, place in enumerate(self.places, 1)
        ]
        return [["place", *self.keys, "accuracy in %"], *rows]

    def heat_map(self) -> tuple[list[str], list[list[Cell]]]:
        """Return the names of columns, and rows that each begin with their value; nothing unless two keys vary."""
        all_values = [place.values for place in self.places]
        varied = {key: values for key in self.keys if len(values := ordered(all_values, key)) > 1}
        if len(varied) != 2:
            return [], []
        (down, downs), (across, acrosses) = varied.items()
        found = {canonical_json([one.values[down], one.values[across]]): one.spread.mean for one in self.places}
        rows = []
        for one in downs:
            means = [found.get(canonical_json([one, other])) for other in acrosses]
            rows.append([Cell(plain(one), ""), *(_cell(mean, list(found.values())) for mean in means)])
        return [f"{down} ↓, {across} →", *map(plain, acrosses)], rows


def leaderboards(runs: Sequence[Run], table: pd.DataFrame) -> Iterator[Leaderboard]:
    """Yield the leaderboard of each grid with accuracies, given the tidy rows of summary.csv with their `series`.

    What decides is logistic regression on the frozen features with the middle one of the numbers of labels or, where
    that was not measured, kNN. Of two grids over one block, whatever their data sets, the second's winner is named
    `simclr_best_2` where the first's is `simclr_best`.
    """
    boards_of_block: Counter[str] = Counter()
    for _, rows in with_grids(runs, table).groupby("sweep", sort=False):
        linear, knn = rows[rows["stage"] == "linear"], rows[rows["stage"] == "knn"]
        tried = in_order(linear)
        chosen, figure = knn, "kNN on the frozen features with all labels"
        if tried:
            chosen = linear[budgets(linear) == tried[(len(tried) - 1) // 2]]
            figure = f"logistic regression on the frozen features with {written(chosen)} labels"
        places = [
            Place(group["values"].iloc[0], str(group["pretrain"].iloc[0]), spread_of(group))
            for _, group in chosen.groupby(chosen["values"].map(canonical_json), sort=False)
        ]
        if places:
            places.sort(key=lambda place: -place.spread.mean)
            dataset, block = str(rows["dataset"].iloc[0]), str(rows["block"].iloc[0])
            boards_of_block[block] += 1
            number = boards_of_block[block]
            name = f"{block}_best" if number == 1 else f"{block}_best_{number}"
            won = [run for run in runs if (run.dataset, run.pretrain) == (dataset, places[0].pretrain)]
            winner = _as_config(won, name, block, places[0].values)
            is_run = won[0].judged_by == "test"
            yield Leaderboard(dataset, block, figure, rows["keys"].iloc[0], places, is_run, winner)


def _as_config(runs: Sequence[Run], name: str, block: str, values: Mapping[str, Any]) -> str:
    """Return what a config needs to run a combination by itself under a name, given its runs."""
    points = [point for point in runs[0].grids if (point.pretrain, point.values) == (block, values)]
    experiment = {"dataset": runs[0].dataset, "pretrain": name, "finetunes": runs[0].finetunes}
    config = {
        "pretrains": {name: points[0].block},
        "experiments": [{**experiment, "seeds": sorted(run.seed for run in runs)}],
    }
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True, default_flow_style=None)


def _values(place: Place, keys: Sequence[str]) -> list[str]:
    return [plain(place.values[key]) for key in keys]


def _cell(value: float | None, every: Sequence[float]) -> Cell:
    """Return a cell of a heat map, the darker the better."""
    if value is None:
        return Cell("", "")
    low, high = min(every), max(every)
    share = (value - low) / (high - low) if high > low else 0.0
    color = "#" + "".join(f"{round(255 - share * (255 - darkest)):02x}" for darkest in _DARKEST)
    return Cell(f"{100 * value:.1f}", color)


def as_html(boards: Sequence[Leaderboard], sections: Mapping[str, str]) -> Markup:
    """Return a section of the page, nothing without grids; `sections` has the ids of those of each pretraining."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    rendered = template.render(boards=boards, sections=sections, flattered=FLATTERED) if boards else ""
    return Markup(rendered)  # noqa: S704 - the template escapes
