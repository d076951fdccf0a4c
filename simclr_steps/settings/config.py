"""The whole config, and what its blocks ask of each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.base import BlockName, DatasetName, Seed, Settings, did_you_mean
from simclr_steps.settings.compared import WeightsToCompare
from simclr_steps.settings.datasets import ArraysDataset, Dataset, FolderDataset
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.settings.explore import ExploreSettings
from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.settings.page import PageSettings
from simclr_steps.settings.prediction import PredictionSettings
from simclr_steps.settings.pretrain import PretrainBlock
from simclr_steps.settings.reading import check
from simclr_steps.settings.selection import SelectionSettings
from simclr_steps.settings.umap import UmapSettings


class Experiment(Settings):
    """A data set, a pretraining, fine-tunings and seeds to run together."""

    dataset: str = Field(description="Name of a block of `datasets`.")
    pretrain: str = Field(description="Name of a block of `pretrains`.")
    finetunes: list[str] = Field([], description="Names of blocks of `finetunes`.")
    seeds: list[Seed] = Field([0], min_length=1, description="Seeds; each one is trained and evaluated separately.")
    grid: dict[str, list[Any]] = Field(
        {},
        description="Keys of the pretrain block (`temperature`, `augmentation.hue`), each with a list of values; every "
        "combination is pretrained. They are judged on the hold-out and never read the test split, unless the "
        "combination is also in an experiment without a grid, as the winner should be. See "
        "[docs/sweeps.md](../docs/sweeps.md).",
    )


class Config(Settings):
    """The top-level keys."""

    datasets: dict[DatasetName, Dataset] = Field(min_length=1, description="Named data sets.")
    pretrains: dict[BlockName, PretrainBlock] = Field(min_length=1, description="Named pretraining settings.")
    finetunes: dict[BlockName, FinetuneSettings] = Field({}, description="Named fine-tuning settings.")
    selection: SelectionSettings = Field(SelectionSettings(), description="How the checkpoint is chosen.")
    evaluation: EvaluationSettings = Field(EvaluationSettings(), description="How frozen features are evaluated.")
    compare: list[WeightsToCompare] = Field(
        [],
        description="Encoders off the shelf that SimCLR's are compared with, each once per data set: "
        "`torchvision:resnet50`, `timm:NAME.TAG`, or the path of a file of weights, an encoder that this workflow "
        "trained or a state dict of a ResNet of torchvision; or `{encoder: timm:NAME, weights: PATH}`, a state dict of "
        "that network. Raw pixels, random weights and the weights that a pretraining is given are always compared. See "
        "[docs/weights.md](../docs/weights.md#compare).",
    )
    prediction: PredictionSettings = Field(PredictionSettings(), description="Which splits get features.")
    umap: UmapSettings = Field(UmapSettings(), description="How features are plotted.")
    explore: ExploreSettings = Field(ExploreSettings(), description="How images are looked through by their features.")
    page: PageSettings = Field(PageSettings(), description="What pages show.")
    metadata: list[str] = Field(
        [],
        description="Columns of the data set's CSV file, such as `plate`: how well the features predict each beside "
        "chance, which shows batch effects, and UMAP colored by it.",
    )
    container: str = Field(
        "containers/simclr.sif",
        description="Image that steps run in if Snakemake uses Apptainer: a file built by containers/build.sh, "
        "or an address such as `docker://…`. It does not affect results, so changing it reruns nothing.",
    )
    experiments: list[Experiment] = Field(min_length=1, description="The experiments to run.")


def read_config(content: Any) -> Config:
    """Return the checked config.

    Raises
    ------
    UserError
        For an unknown key, a wrong value, a block that does not exist, or a hold-out that a choice or a grid needs and
        a data set surely lacks, naming the key to fix.
    """
    config: Config = check(Config, content)
    for number, experiment in enumerate(config.experiments):
        named: list[tuple[str, str, Mapping[str, object]]] = [
            ("dataset", experiment.dataset, config.datasets),
            ("pretrain", experiment.pretrain, config.pretrains),
            *(("finetunes", name, config.finetunes) for name in experiment.finetunes),
        ]
        for key, name, blocks in named:
            if name not in blocks:
                section = key if key.endswith("s") else f"{key}s"
                raise UserError(
                    f'experiments.{number}.{key}: there is no block "{name}" in {section}; {did_you_mean(name, blocks)}'
                )
        _check_hold_out(config, number)
    return config


def _check_hold_out(config: Config, number: int) -> None:
    experiment = config.experiments[number]
    dataset = config.datasets[experiment.dataset]
    if dataset.validation_fraction > 0 or isinstance(dataset, FolderDataset | ArraysDataset):
        return  # the latter may bring a validation split, which the check after prepare knows
    choices: list[tuple[str, str]] = [("selection.criterion", config.selection.criterion)]
    choices += [(f"finetunes.{name}.keep", config.finetunes[name].keep) for name in experiment.finetunes]
    for key, choice in choices:
        if choice != "last":
            raise UserError(
                f"{key}: {choice} needs a hold-out, but datasets.{experiment.dataset}.validation_fraction is 0: "
                'write "last", or a fraction above 0'
            )
    if experiment.grid:
        raise UserError(
            f"experiments.{number}.grid: runs of a grid are judged on the hold-out, so that none is chosen by the test "
            f"split, but datasets.{experiment.dataset}.validation_fraction is 0: write a fraction above 0"
        )
