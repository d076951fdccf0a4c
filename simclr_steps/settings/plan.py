"""What the experiments of a config ask for: the runs, and what each step needs to know about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simclr_steps.files import canonical_json
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import require_short
from simclr_steps.settings.compared import ComparedSettings, compared, off_the_shelf
from simclr_steps.settings.config import Config
from simclr_steps.settings.continued import resolved
from simclr_steps.settings.demands import Demands, FinetuneDemands, PretrainDemands, written_of_color
from simclr_steps.settings.explore import ExploreOfDataset
from simclr_steps.settings.finetuned import FinetunedSettings, finetuned
from simclr_steps.settings.galleries import GallerySettings
from simclr_steps.settings.grid import combinations, written
from simclr_steps.settings.judged import JudgedBy, instead_of_test
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.runs import GridPoint, Run, SummarySettings, judged_by
from simclr_steps.settings.umap import UmapOfDataset
from simclr_steps.settings.weights import PublishedWeights

_ASIDE = frozenset({"display", "path", "mirrors"})  # what changes no packed image
_OF_SPLITS_AND_LABELS = frozenset(
    {"validation_fraction", "test_fraction", "split_seed", "subset", "group_pattern", "classes"}
)


@dataclass(frozen=True)
class Plan:
    """Everything that a config asks for, each run once, and the slice of it that each step is given."""

    config: Config
    runs: tuple[Run, ...]
    pretrains: dict[str, PretrainSettings]  # by the name in Run.pretrain and Run.continues
    parents: dict[str, str]  # the name of the pretraining that each one continues, if it does
    finetunings: dict[str, FinetunedSettings]  # by folder: what each one is given, once for all runs that share it
    judged_by: dict[str, JudgedBy]  # by folder, of runs, of what they are compared with, and of fine-tunings

    @property
    def datasets(self) -> list[str]:
        """The names of the data sets that are used, sorted."""
        return sorted({run.dataset for run in self.runs})

    @property
    def trainings(self) -> dict[str, tuple[str, str]]:
        """Data set and pretraining of everything that is pretrained, by folder: runs, and what they continue."""
        named = [(run, name) for run in self.runs for name in (*run.continues, run.pretrain)]
        return {run.folder_of(name): (run.dataset, name) for run, name in named}

    @property
    def classifiers(self) -> list[str]:
        """The folders of all fine-tunings, below those of all runs."""
        return list(self.finetunings)

    @property
    def summary_plots(self) -> list[str]:
        """The names of the summary's plots, some of which show classifiers or grids."""
        of_classifiers = ["confusion", "mistakes", "finetune_history"] if self.classifiers else []
        of_grids = ["sweep"] if any(run.grids for run in self.runs) else []
        return ["label_efficiency", "history", "monitors", *of_classifiers, *of_grids]

    @property
    def summary(self) -> SummarySettings:
        """What the summary is about."""
        displays = {name: self.config.datasets[name].display for name in self.datasets}
        asked = {name: display for name, display in displays.items() if display is not None}
        return SummarySettings(
            runs=list(self.runs),
            displays=asked,
            metadata=self.config.metadata,
            explored=bool(self.config.explore.arrays),
            pictures=self.config.page.pictures,
            predicted=self.config.prediction.of_classifiers,
        )

    def gallery(self, dataset: str, pretrain: str) -> GallerySettings:
        """Return what the gallery shows of a pretraining: its augmentation, and not how it trains."""
        settings, display = self.pretrains[pretrain], self.config.datasets[dataset].display
        return GallerySettings(augmentation=settings.augmentation, view_size=settings.view_size, display=display)

    def umap(self, dataset: str, by: JudgedBy = "test") -> UmapOfDataset:
        """Return how features of a data set are plotted."""
        (split,) = instead_of_test([self.config.umap.split], by)
        display = self.config.datasets[dataset].display
        shown = {"split": split, "display": display, "pictures": self.config.page.pictures}
        return UmapOfDataset(**dict(self.config.umap) | shown, columns=self.config.metadata)

    def explore(self, dataset: str, by: JudgedBy = "test") -> ExploreOfDataset:
        """Return how the images of a data set are looked through."""
        asked, display, pictures = self.config.explore, self.config.datasets[dataset].display, self.config.page.pictures
        judge = by if "test" in asked.named else "test"  # of what is explored nothing depends on it then
        return ExploreOfDataset(**dict(asked), display=display, pictures=pictures, judged_by=judge)

    @property
    def predicted(self) -> dict[str, list[str]]:
        """The splits that each fine-tuning predicts, by its folder."""
        asked = self.config.prediction.of_classifiers
        return {folder: instead_of_test(asked, self.judged_by[folder]) for folder in self.finetunings}

    def compared(self, dataset: str) -> dict[str, ComparedSettings]:
        """Return what all runs on a data set are compared with, by name; runs share what has one name."""
        evaluated = dict(self.config.evaluation)
        runs = [run for run in self.runs if run.dataset == dataset]
        pretrains = [(self.pretrains[run.pretrain], run.seed) for run in runs]
        networks = {name: one for run in pretrains for name, one in compared(*run, self.config.compare).items()}
        return {name: ComparedSettings(network=one, **evaluated) for name, one in networks.items()}

    def demands(self, dataset: str) -> Demands:
        """Return what the experiments ask of a data set."""
        runs = [run for run in self.runs if run.dataset == dataset]
        blocks = {name: self.config.finetunes[name] for run in runs for name in run.finetunes}
        trained = {name: self.pretrains[name] for of, name in self.trainings.values() if of == dataset}
        augmentations = {
            **{name: settings.augmentation for name, settings in trained.items()},
            **{f"finetunes.{name}": block.augmentation for name, block in blocks.items()},
            "evaluation": self.config.evaluation.augmentation,
        }
        return Demands(
            pretrains={name: PretrainDemands.of(settings) for name, settings in trained.items()},
            criterion=self.config.selection.criterion,
            finetunes={name: FinetuneDemands.of(block) for name, block in blocks.items()},
            drawn=self.config.umap.splits,
            judged_by=sorted({run.judged_by for run in runs}),
            explored=[] if self.config.explore.splits == "auto" else self.config.explore.splits,
            display=self.config.datasets[dataset].display,
            supervised=self.config.umap.supervised,
            color_keys={block: written_of_color(settings) for block, settings in augmentations.items()},
        )

    def may_vote(self, pretrain: str) -> bool:
        """Return whether labels may choose the checkpoint of a pretraining, by the votes of nearest neighbors."""
        criterion = self.config.selection.criterion
        return criterion == "knn" or (criterion == "auto" and self.pretrains[pretrain].starts_from_weights)

    def what_is_downloaded(self, dataset: str) -> str:
        """Return, as JSON, what decides the files that download gets; not from where."""
        block = self.config.datasets[dataset]
        return canonical_json([block.source, getattr(block, "name", None)])

    def packed(self, dataset: str) -> dict[str, Any]:
        """Return what decides the packed images; a mirror or a folder of the same originals does not, nor `display`.

        Of the user's own images the fingerprint tells which there are, and the split that each is assigned.
        """
        block = self.config.datasets[dataset]
        aside = {*_ASIDE, *(() if block.is_downloaded else _OF_SPLITS_AND_LABELS)}
        return block.model_dump(mode="json", exclude=aside)

    def labeled(self, dataset: str) -> dict[str, Any]:
        """Return what decides what is known of the packed images, beside themselves and the user's own labels."""
        block = self.config.datasets[dataset]
        if block.is_downloaded:
            return self.packed(dataset)
        return block.model_dump(mode="json", include={"source", "split_seed", "validation_fraction"})

    def listed(self, dataset: str) -> str:
        """Return, as JSON, what prepare and label are told: the whole block, but what only pictures show."""
        return canonical_json(self.config.datasets[dataset].model_dump(mode="json", exclude={"display"}))

    @property
    def paths(self) -> dict[str, Path]:
        """The files or folders with the user's own data, by data set."""
        given = {name: getattr(self.config.datasets[name], "path", None) for name in self.datasets}
        return {name: Path(path) for name, path in given.items() if path is not None}

    @property
    def published(self) -> dict[str, PublishedWeights]:
        """The published weights that are used, by their name; where one block has the file, all take it."""
        others = off_the_shelf(self.config.compare).values()
        asked = [weights for other in others if (weights := other.published)]
        asked += [weights for one in self.finetunings.values() if (weights := one.published)]
        asked += [weights for block in self.pretrains.values() if (weights := block.published_weights)]
        return {weights.name: weights for weights in sorted(asked, key=lambda weights: weights.path is not None)}

    @property
    def own_files(self) -> dict[str, Path]:
        """All files and folders of the user, by the key that names them."""
        data = {f"datasets.{name}.path": path for name, path in self.paths.items()}
        pretrains = self.pretrains.items()
        weights = {f"pretrains.{name}.init": block.own_weights for name, block in pretrains}
        weights |= {f"pretrains.{name}.weights_path": block.found_weights for name, block in pretrains}
        weights |= {f"compare.{number}": one.file for number, one in enumerate(self.config.compare)}
        return data | {key: path for key, path in weights.items() if path}


def plan(config: Config) -> Plan:
    """Return all runs of a config; equal pretrainings on one data set share one name and are trained once.

    Raises
    ------
    UserError
        If two different pretrainings would share a name, a name is too long, a criterion is not measured, one continues
        what it cannot, or a fine-tuning has no published weights to start from.
    """
    numbers = range(len(config.experiments))
    known = {name: content for number in numbers for name, _, content in combinations(config, number)}
    known |= {name: written(block) for name, block in config.pretrains.items()}
    pretrains: dict[str, PretrainSettings] = {}
    name_of: dict[str, str] = {}
    runs: dict[tuple[str, str, int], Run] = {}
    alone: set[tuple[str, str]] = set()  # data sets and pretrainings that are asked for outside of grids
    for number, experiment in enumerate(config.experiments):
        where = f"experiments.{number}.grid" if experiment.grid else f"pretrains.{experiment.pretrain}"
        for name, values, content in combinations(config, number):
            settings = resolved(name, content, known, where)
            name = name_of.setdefault(settings.as_json(), name)
            require_short(name, f"experiments.{number}.grid", "use fewer keys, or write separate blocks")
            if pretrains.setdefault(name, settings) != settings:
                raise UserError(
                    f"experiments.{number}.grid: two different pretrainings would share the folder {name}: write one "
                    "of them as a separate block"
                )
            points = [GridPoint(pretrain=experiment.pretrain, values=values, block=content)] if values else []
            if not points:
                alone.add((experiment.dataset, name))
            for seed in experiment.seeds:
                others = list(compared(settings, seed, config.compare))
                for other in others:
                    require_short(other, f"{where}.encoder", "shorten the name of its module or function")
                run = Run(
                    dataset=experiment.dataset,
                    pretrain=name,
                    seed=seed,
                    finetunes=experiment.finetunes,
                    grids=points,
                    compared=others,
                )
                key = experiment.dataset, name, seed
                runs[key] = _joined(runs[key], run) if key in runs else run
    for name in config.pretrains:
        name_of.setdefault(resolved(name, known[name], known, f"pretrains.{name}").as_json(), name)
    parents: dict[str, str] = {}
    for name in list(pretrains):
        settings = pretrains[name]
        while parent := settings.parent:
            parents[name] = name_of[parent.as_json()]
            name, settings = parents[name], pretrains.setdefault(parents[name], parent)
    for name in {run.pretrain for run in runs.values()}:
        if config.selection.criterion == "rankme" and not settings.monitor_epochs:
            raise UserError(
                f"selection.criterion: rankme is not measured for {name}, whose monitor_epochs is 0: set 1 or more"
            )
    planned: list[Run] = []
    finetunings: dict[str, FinetunedSettings] = {}
    for run in runs.values():
        blocks = {name: config.finetunes[name] for name in run.finetunes}
        given = {name: finetuned(name, one, run.pretrain, pretrains[run.pretrain]) for name, one in blocks.items()}
        starts = {name: start for name, one in given.items() if (start := one.start(run.seed))}
        judge: JudgedBy = "test" if (run.dataset, run.pretrain) in alone else "validation"
        found = {"continues": _ancestors(run.pretrain, parents), "starts": starts, "judged_by": judge}
        planned.append(run := run.model_copy(update=found))
        finetunings |= {folder: given[name] for name, folder in run.classifiers.items()}
    judges = judged_by(planned)
    return Plan(config, tuple(one.knowing(judges) for one in planned), pretrains, parents, finetunings, judges)


def _ancestors(name: str, parents: dict[str, str]) -> list[str]:
    """Return the names of all pretrainings that one continues, the first one first."""
    parent = parents.get(name)
    return [*_ancestors(parent, parents), parent] if parent else []


def _joined(one: Run, other: Run) -> Run:
    """Return a run that is all that two experiments ask of it."""
    finetunes = list(dict.fromkeys([*one.finetunes, *other.finetunes]))
    grids = [*one.grids, *(point for point in other.grids if point not in one.grids)]
    return one.model_copy(update={"finetunes": finetunes, "grids": grids})
