"""The whole config."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from simclr_steps.settings.base import BlockName, Settings
from simclr_steps.settings.datasets import Dataset
from simclr_steps.settings.evaluation import EvaluationSettings
from simclr_steps.settings.finetune import FinetuneSettings
from simclr_steps.settings.prediction import PredictionSettings
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.selection import SelectionSettings
from simclr_steps.settings.umap import UmapSettings


class Experiment(Settings):
    """Data sets, pretrainings, fine-tunings and seeds that are run together."""

    dataset: str = Field(description="Name of a block of `datasets`.")
    pretrain: str = Field(description="Name of a block of `pretrains`.")
    finetunes: list[str] = Field([], description="Names of blocks of `finetunes`.")
    seeds: list[Annotated[int, Field(ge=0)]] = Field(
        [0], min_length=1, description="Seeds; each trains and evaluates anew."
    )
    grid: dict[str, list[Any]] = Field(
        {},
        description="Keys of the pretrain block (`temperature`, `augmentation.hue`), each with a list of values; every "
        "combination is pretrained.",
    )


class Config(Settings):
    """The whole config."""

    datasets: dict[BlockName, Dataset] = Field(min_length=1, description="Named data sets.")
    pretrains: dict[BlockName, PretrainSettings] = Field(min_length=1, description="Named ways to pretrain.")
    finetunes: dict[BlockName, FinetuneSettings] = Field({}, description="Named ways to fine-tune.")
    selection: SelectionSettings = Field(SelectionSettings(), description="How the checkpoint is chosen.")
    evaluation: EvaluationSettings = Field(EvaluationSettings(), description="How frozen features are judged.")
    prediction: PredictionSettings = Field(PredictionSettings(), description="Which rows get features.")
    umap: UmapSettings = Field(UmapSettings(), description="How features are drawn.")
    container: str = Field(
        "containers/simclr.sif",
        description="The image that steps run in where Snakemake is told to use Apptainer: a file that "
        "containers/build.sh made, or an address such as `docker://…`. It changes no result, and so reruns nothing.",
    )
    experiments: list[Experiment] = Field(min_length=1, description="What is run.")
