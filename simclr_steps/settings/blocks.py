"""All settings of the workflow, one class for each block of the config, each key with its meaning, unit and default.

The schema of the config, its reference in config/README.md and every check of a user's values come from these classes.
Hardware is no setting: the number of GPUs, workers and threads are options of the commands.
"""

from __future__ import annotations

import difflib
import os.path
import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

SPLITS = ("train", "validation", "test", "unlabeled")

ENCODERS = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)
_ENCODER_ELSEWHERE = re.compile(r"timm:[\w.]+|[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")

SCHEMES = ("https://", "http://", "file://")


def _check_address(value: str) -> str:
    if not value.startswith(SCHEMES):
        raise ValueError(f"must begin with {', '.join(SCHEMES[:-1])} or {SCHEMES[-1]}")
    return value


Probability = Annotated[float, Field(ge=0, le=1)]
LocalPath = Annotated[str, AfterValidator(os.path.expanduser)]
Address = Annotated[str, AfterValidator(_check_address)]
BlockName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that offers the nearest known word, or all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f'did you mean "{near[0]}"?' if near else f"known are: {', '.join(known) or 'none'}"


class Settings(BaseModel):
    """A block of the config. Unknown keys are errors, and a block does not change once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, content: Any) -> Any:
        if content is None:  # a YAML block with nothing below its name
            return {}
        unknown = [str(key) for key in content if key not in cls.model_fields] if isinstance(content, dict) else []
        if unknown:
            raise PydanticCustomError(
                "unknown_key",
                'unknown key "{key}"; {advice}',
                {"key": unknown[0], "advice": did_you_mean(unknown[0], cls.model_fields)},
            )
        return content


class DatasetBlock(Settings):
    """What all data sets have in common."""

    validation_fraction: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of the images to train on, labeled and unlabeled, held out to choose checkpoints, "
        "stratified by label. 0 trains on all images, and `selection.criterion` must then be `last`. Unused where the "
        "data bring a validation split.",
    )
    test_fraction: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Share of the labeled training images, or of all where none has a label, set apart as the test "
        "split, stratified by label, where the data have none.",
    )
    split_seed: int = Field(0, ge=0, description="Seed of the two splits above and of `subset`.")
    subset: int | None = Field(
        None, gt=0, description="Use at most so many images of each split, drawn by `split_seed`: for a quick try."
    )


class DigitsDataset(DatasetBlock):
    """The 1,797 handwritten digits of 8 × 8 pixels that scikit-learn ships: real images without a download."""

    source: Literal["digits"] = Field(description="`digits`")


class TorchvisionDataset(DatasetBlock):
    """A labeled image set of torchvision.datasets."""

    source: Literal["torchvision"] = Field(description="`torchvision`")
    name: Literal["CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "KMNIST", "SVHN", "STL10"] = Field(
        description="Name of the class in torchvision.datasets."
    )
    path: LocalPath | None = Field(
        None, description="Folder that holds the original files already; they are verified and used as they are."
    )
    mirrors: list[Address] = Field(
        [], description="Base addresses (https, http, file) tried in order after the official one."
    )


class FolderDataset(DatasetBlock):
    """Images of any size and mode in a folder, or listed by a CSV file."""

    source: Literal["folder"] = Field(description="`folder`")
    path: LocalPath = Field(
        description="A folder of class sub-folders, below train/val/test/unlabeled if there are such; or a CSV file "
        "with the columns path, label, split, its paths relative to itself. Images without a label are used for "
        "pretraining only, unless no image has one."
    )
    image_size: int = Field(ge=4, description="Side in pixels to which images are resized and center-cropped, once.")
    channels: Literal[1, 3] = Field(3, description="1 packs gray images, 3 color.")
    unreadable: Literal["stop", "skip"] = Field(
        "stop", description="What an unreadable image does: stop the run, or be left out and counted."
    )


class ArraysDataset(DatasetBlock):
    """NumPy arrays of uint8 images, N × H × W or N × H × W × C, and their integer labels."""

    source: Literal["arrays"] = Field(description="`arrays`")
    path: LocalPath = Field(
        description="An .npz file, or a folder of .npy files, with train_images and, as far as there are any, "
        "train_labels, validation_images, validation_labels, test_images, test_labels, unlabeled_images."
    )
    classes: list[str] | None = Field(None, description="Names of the classes 0, 1, …; null names them by number.")

    @field_validator("classes")
    @classmethod
    def _check_classes(cls, value: list[str] | None) -> list[str] | None:
        repeated = [name for name, count in Counter(value or []).items() if count > 1]
        if repeated:
            raise ValueError(f'must give each class a name of its own, and "{repeated[0]}" is there twice')
        return value


Dataset = Annotated[DigitsDataset | TorchvisionDataset | FolderDataset | ArraysDataset, Field(discriminator="source")]


AUGMENTATIONS: dict[str, dict[str, Any]] = {  # the presets, by what differs from the defaults
    "color": {},
    "digits": {
        "crop_scale": (0.5, 1.0),
        "horizontal_flip_probability": 0.0,
        "rotation_degrees": 20.0,
        "grayscale_probability": 0.0,
    },
    "photos": {
        "crop_scale": (0.08, 1.0),
        "brightness": 0.8,
        "contrast": 0.8,
        "saturation": 0.8,
        "hue": 0.2,
        "grayscale_probability": 0.2,
        "blur_probability": 0.5,
    },
}


class Augmentation(Settings):
    """How random views are made: as a preset says, but for the keys written beside it."""

    preset: Literal["color", "digits", "photos"] = Field(
        "color",
        description="`color`: the defaults below, for small color images such as CIFAR-10's. `digits`: crops from "
        "0.5, no flip, turns of up to 20 degrees, no gray. `photos`: as SimCLR for ImageNet, crops from 0.08, strong "
        "jitter of 0.8, 0.8, 0.8, 0.2, gray in 0.2 and blur in 0.5 of the views.",
    )
    crop_probability: Probability = Field(1.0, description="Chance of a crop; the view else shows the whole image.")
    crop_scale: tuple[float, float] = Field((0.2, 1.0), description="Range of the crop's share of the image's area.")
    crop_ratio: tuple[float, float] = Field((3 / 4, 4 / 3), description="Range of the crop's width by its height.")
    horizontal_flip_probability: Probability = Field(0.5, description="Chance of a left-right flip.")
    vertical_flip_probability: Probability = Field(0.0, description="Chance of an up-down flip.")
    rotation_probability: Probability = Field(1.0, description="Chance of a turn.")
    rotation_degrees: float = Field(0.0, ge=0, le=180, description="Largest turn to either side, in degrees.")
    jitter_probability: Probability = Field(0.8, description="Chance that the four color changes are made at all.")
    brightness: float = Field(0.4, ge=0, description="Largest change of brightness, as a share.")
    contrast: float = Field(0.4, ge=0, description="Largest change of contrast, as a share.")
    saturation: float = Field(0.4, ge=0, description="Largest change of saturation, as a share; color images only.")
    hue: float = Field(0.1, ge=0, le=0.5, description="Largest turn of the hue, as a share of the color circle.")
    grayscale_probability: Probability = Field(0.1, description="Chance that a color image turns gray.")
    blur_probability: Probability = Field(0.0, description="Chance of a Gaussian blur.")
    blur_sigma: tuple[float, float] = Field((0.1, 2.0), description="Range of the blur's sigma in pixels.")
    solarize_probability: Probability = Field(0.0, description="Chance that bright pixels are inverted.")
    solarize_threshold: Probability = Field(0.5, description="Least brightness that is inverted; 1 is white.")

    @model_validator(mode="wrap")
    @classmethod
    def _fill_in(cls, content: Any, build: ModelWrapValidatorHandler[Augmentation]) -> Augmentation:
        """Take from the preset what is not written, and leave it unset, so that a grid can change the preset."""
        if not isinstance(content, dict):
            return build(content)
        settings = build(AUGMENTATIONS.get(str(content.get("preset")), {}) | content)
        settings.model_fields_set.intersection_update(content)
        return settings

    @model_serializer(mode="wrap")
    def _dump(self, dump: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Leave the preset's name out of a whole dump, which is equal for equal augmentations however written."""
        content: dict[str, Any] = dump(self)
        return content if info.exclude_unset else {key: content[key] for key in content if key != "preset"}

    @field_validator("crop_scale", "crop_ratio", "blur_sigma", mode="before")
    @classmethod
    def _take_lists(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("crop_scale", "crop_ratio", "blur_sigma")
    @classmethod
    def _check_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError("must be two numbers above 0, the smaller first")
        return value

    @field_validator("crop_scale")
    @classmethod
    def _check_share(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[1] > 1:
            raise ValueError("must not exceed 1")
        return value


class ProjectionHead(Settings):
    """The network between the features and the loss: linear layers with ReLU between them."""

    layers: Literal[2, 3] = Field(2, description="Linear layers; the last one has no bias.")
    hidden_size: int = Field(1024, gt=0, description="Width of the hidden layers.")
    output_size: int = Field(128, gt=0, description="Size of the projections that the loss compares.")
    batch_norm: bool = Field(
        False, description="Batch norm before each ReLU; the output is not normalized, unlike in SimCLR's own code."
    )


class Optimization(Settings):
    """How weights are updated."""

    optimizer: Literal["sgd", "adam", "adamw", "lars"] = Field(
        "sgd", description="The optimizer. `lars` is for batches of thousands of images."
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of `sgd` and `lars`; the others ignore it.")
    weight_decay: float = Field(
        5e-4,
        ge=0,
        description="Weight decay; never applied to biases and batch-norm parameters, and nor is the adaptation of "
        "`lars`. SimCLR takes 1e-6 with `lars`.",
    )
    warmup_epochs: float = Field(0, ge=0, description="Epochs over which the learning rate rises from 0.")
    warmup_steps: int | None = Field(
        None, gt=0, description="Updates over which the learning rate rises from 0, instead of `warmup_epochs`."
    )
    step_epochs: list[Annotated[int, Field(gt=0)]] = Field(
        [], description="Epochs after which the learning rate falls under the schedule `step`, counted from the start."
    )
    step_factor: float = Field(0.1, gt=0, lt=1, description="What the learning rate is multiplied by at each fall.")
    schedule: Literal["cosine", "constant", "step"] = Field(
        "cosine",
        validate_default=True,
        description="What the learning rate does after the warm-up; `cosine` ends at 0, `step` falls at `step_epochs`.",
    )
    precision: Literal["auto", "bf16", "tf32", "fp32"] = Field(
        "auto",
        description="Number format of the network: `fp32` in full, `tf32` with the faster convolutions of a GPU that "
        "has them, `bf16`; `auto` is bf16 where the hardware multiplies it at full speed, else fp32. The loss is "
        "always in full fp32.",
    )

    @field_validator("warmup_steps")
    @classmethod
    def _check_one_warmup(cls, value: int | None, others: ValidationInfo) -> int | None:
        if value is not None and others.data.get("warmup_epochs"):
            raise ValueError("must be left out where warmup_epochs is given")
        return value

    @field_validator("schedule")
    @classmethod
    def _check_steps(cls, value: str, others: ValidationInfo) -> str:
        if (value == "step") != bool(others.data.get("step_epochs", value == "step")):
            raise ValueError("must be step where step_epochs are given, and only there")
        return value


class PretrainSettings(Optimization):
    """One way to pretrain an encoder with SimCLR."""

    encoder: str = Field(
        "resnet18",
        json_schema_extra={"anyOf": [{"enum": list(ENCODERS)}, {"pattern": ":"}]},
        description=f"A torchvision network ({', '.join(f'`{name}`' for name in ENCODERS)}); `timm:NAME`, any network "
        "of timm, such as `timm:vit_small_patch16_224`, made for the images' size; or your own `MODULE:FUNCTION`, "
        "imported from the working folder or what is installed, called as `FUNCTION(channels=3, image_size=32)`, which "
        "returns a torch module from float [N, channels, image_size, image_size] in [0, 1] to float [N, features].",
    )
    stem: Literal["auto", "small", "imagenet"] = Field(
        "auto",
        description="First layers of a torchvision network: `small` is one 3 × 3 convolution of stride 1 and no "
        "max-pool, `imagenet` is torchvision's own; `auto` takes `small` for images of up to 64 pixels.",
    )
    projection_head: ProjectionHead = Field(ProjectionHead(), description="See the projection head's keys.")
    augmentation: Augmentation = Field(Augmentation(), description="See the augmentation's keys.")
    views: int = Field(2, ge=2, description="Random views of each image in a batch; all pairs of them are positives.")
    view_size: int | None = Field(None, ge=4, description="Side of the views in pixels; null keeps the image's size.")
    temperature: float = Field(0.5, gt=0, description="Temperature of the NT-Xent loss.")
    loss_chunk_size: int | None = Field(
        None,
        gt=0,
        description="Views whose similarities to all others the loss holds at a time; null holds all of the batch. "
        "Fewer take less memory and give the same loss.",
    )
    learning_rate: float = Field(0.03, gt=0, description="Highest learning rate, before the scaling below.")
    learning_rate_scaling: Literal["linear", "sqrt", "none"] = Field(
        "linear", description="Multiplies the learning rate by global_batch_size / 256, by its square root, or by 1."
    )
    epochs: int = Field(100, gt=0, description="Passes over the training and unlabeled images.")
    global_batch_size: int = Field(
        512,
        ge=2,
        description="Images in a batch over all processes; the last incomplete batch of an epoch is left out.",
    )
    monitor_epochs: int = Field(
        10,
        ge=0,
        description="Every so many epochs, and after the last, the hold-out's features are judged: kNN accuracy where "
        "there are labels, alignment and uniformity, and effective rank (RankMe). 0 is never. Training stays the same.",
    )
    micro_batch_size: int | None = Field(
        None,
        ge=2,
        description="Views that pass through the network at once in each process; null is all of a batch. Fewer fit "
        "big batches on small GPUs for about a third more time: loss and gradients stay those of the whole batch, but "
        "batch norm then normalizes each micro-batch by itself.",
    )

    @field_validator("encoder")
    @classmethod
    def _check_encoder(cls, value: str) -> str:
        if not (value in ENCODERS or _ENCODER_ELSEWHERE.fullmatch(value)):
            advice = did_you_mean(value, ENCODERS)
            raise ValueError(f"must be a ResNet of torchvision, timm:NAME or MODULE:FUNCTION; {advice}")
        return value

    @field_validator("stem")
    @classmethod
    def _check_stem(cls, value: str, others: ValidationInfo) -> str:
        if value != "auto" and ":" in others.data.get("encoder", ""):
            raise ValueError("must be auto, as only torchvision's networks have a stem to choose")
        return value


class PerClass(Settings):
    """The same number of labels of each class."""

    per_class: int = Field(gt=0, description="Labels of each class.")


def _check_budget(value: Any) -> Any:
    is_count, is_fraction = type(value) is int and value > 0, type(value) is float and 0 < value <= 1
    if is_count or is_fraction or isinstance(value, dict | PerClass):
        return value
    raise ValueError("must be a fraction above 0 and up to 1.0, a whole number of labels, or {per_class: number}")


LabelBudget = Annotated[float | int | PerClass, BeforeValidator(_check_budget)]


class FinetuneSettings(Optimization):
    """One way to train a classifier on a share of the labels."""

    labels: LabelBudget = Field(
        0.3,
        description="How many labels to use: a fraction of the training labels (0.3; 1.0 is all of them) or a whole "
        "number of them (10), in either case stratified by class, or the same number of each class "
        "(`{per_class: 4}`).",
    )
    draws: int = Field(
        1, gt=0, description="Independent draws of the labels, one training each; the first draw's classifier is kept."
    )
    init: Literal["pretrained", "random"] = Field(
        "pretrained", description="Start from the pretrained encoder or from random weights."
    )
    freeze: bool = Field(False, description="Train the head alone, on frozen weights and batch-norm statistics.")
    head: Literal["linear", "mlp"] = Field("linear", description="The classifier on top of the features.")
    augmentation: Augmentation | None = Field(
        None, description="Random views to train on, see the augmentation's keys; null trains on the plain images."
    )
    learning_rate: float = Field(0.01, gt=0, description="Highest learning rate; it is not scaled.")
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="What the learning rate is multiplied by at each step from the head, which has all of it, back to "
        "the first layers. Layers are the network's blocks; 1 gives all the same.",
    )
    epochs: int = Field(30, gt=0, description="Passes over the labeled images.")
    batch_size: int = Field(128, ge=2, description="Labeled images in a batch.")
    keep: Literal["last", "best"] = Field(
        "last",
        description="The classifier that is kept: `last` as it is after the last epoch, `best` as it was after the "
        "epoch of highest accuracy on the hold-out, the first of equals.",
    )


class SelectionSettings(Settings):
    """How one checkpoint is chosen from the three of least validation loss and the last; never on the test split."""

    criterion: Literal["validate_loss", "knn", "rankme", "last"] = Field(
        "validate_loss",
        description="`validate_loss`: least loss on the hold-out. `knn`: best kNN accuracy on the hold-out, its "
        "neighbors from the training split. `rankme`: highest effective rank of the hold-out's features, which takes "
        "no labels, among the checkpoints of monitored epochs (`monitor_epochs`). `last`: the last checkpoint.",
    )
    knn_neighbors: int = Field(10, gt=0, description="Neighbors that vote under `knn`, by cosine similarity.")


class EvaluationSettings(Settings):
    """How frozen features are judged, on the hold-out and on the test split."""

    knn_neighbors: int = Field(10, gt=0, description="Neighbors that vote, by cosine similarity.")
    labels: list[LabelBudget] = Field(
        [0.01, 0.1, 1.0],
        min_length=1,
        description="Label budgets of logistic regression, each as `labels` of a fine-tuning: a fraction, a whole "
        "number, or `{per_class: number}`.",
    )
    draws: int = Field(3, gt=0, description="Independent draws of the labels for each budget.")
    augmentation: Augmentation | None = Field(
        Augmentation(
            crop_scale=(0.8, 1.0), horizontal_flip_probability=0.0, jitter_probability=0.0, grayscale_probability=0.0
        ),
        description="Random views for the linear probe that is trained, with all labels, on views instead of plain "
        "images, see the augmentation's keys. null leaves that probe out.",
    )


class PredictionSettings(Settings):
    """Which rows get features and predictions."""

    splits: list[Literal["train", "validation", "test", "unlabeled"]] = Field(
        ["test"], min_length=1, description="Splits whose features are gathered."
    )


class UmapSettings(Settings):
    """How features are drawn in the plane."""

    split: Literal["train", "validation", "test"] = Field("test", description="The split that is drawn.")
    n_neighbors: int = Field(15, ge=2, description="Neighbors of a point that UMAP keeps together.")
    min_dist: float = Field(0.1, ge=0, le=1, description="Least distance of points in the plane.")
    metric: Literal["cosine", "euclidean"] = Field("cosine", description="Distance between features.")
    random_state: int = Field(0, ge=0, description="Seed of the layout.")
    supervised: bool = Field(
        False, description="Show UMAP the labels. It then separates classes even in noise, and the plot says so."
    )
    max_points: int = Field(10_000, ge=10, description="More rows than this are thinned, stratified by class.")


class GallerySettings(Settings):
    """What the gallery of augmented views takes from a block of `pretrains`."""

    augmentation: Augmentation = Augmentation()
    view_size: int | None = Field(None, ge=4)


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
