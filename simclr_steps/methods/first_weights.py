"""What a pretraining starts from where that is not random weights: the user's file, and the images' mean with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from simclr_steps.files import checksum, read_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.logs import log
from simclr_steps.networks.architecture import StartedFrom
from simclr_steps.networks.encoders import Encoder
from simclr_steps.networks.published import Statistics, input_statistics
from simclr_steps.networks.weight_files import Weights, check_file, read_weights
from simclr_steps.networks.weights import put_into
from simclr_steps.settings.image_format import counted_channels
from simclr_steps.settings.pretrain import PretrainSettings


@dataclass(frozen=True)
class FirstWeights:
    """The file that a pretraining starts from."""

    path: Path
    origin: StartedFrom


def first_weights(
    settings: PretrainSettings, downloaded: Path | None = None, planned: str | None = None
) -> FirstWeights | None:
    """Return the file that a pretraining starts from, None for random weights.

    `downloaded` is what download_weights wrote of published weights, and `planned` the SHA-256 that the user's file had
    when the run was planned.

    Raises
    ------
    UserError
        When the file cannot be read, or is not the one that was downloaded or planned with.
    """
    if settings.init == "published":
        return _published(downloaded)
    if settings.encoder.startswith("timm:") and "." in settings.encoder and not settings.starts_from_weights:
        log.warning(
            "warning: %s starts from random weights; its tag has an effect with init: published", settings.encoder
        )
    path = settings.own_weights
    if path is None:
        return None
    if not path.exists() and not path.is_symlink():
        raise UserError(f"init: {path} does not exist: write random, published or the path of a file of weights")
    check_file(path)
    sha256 = checksum(path)
    if planned and sha256 != planned:
        raise UserError(f"init: {path} has changed since the run was planned: plan again, or put the former file back")
    return FirstWeights(path, StartedFrom(name=path.name, source=str(path), sha256=sha256))


def _published(downloaded: Path | None) -> FirstWeights:
    if downloaded is None:
        raise UserError("init: published needs what download_weights writes: run it, and name its file by --weights")
    facts = read_json(downloaded)
    path = Path(facts["path"])
    origin = StartedFrom(**{key: facts[key] for key in ("name", "source", "sha256", "license")})
    if not path.is_file() or checksum(path) != origin.sha256:
        raise UserError(
            f"{path} is not what {downloaded} describes: delete {downloaded} and run download_weights again"
        )
    return FirstWeights(path, origin)


def start_from(encoder: Encoder, path: Path, *, frozen: bool = False) -> None:
    """Put the weights of a file into an encoder's backbone, which may stay `frozen`; its projection head stays random.

    The images' mean and standard deviation are those that the weights were made with. Where these are not known for
    the images' channels, or the file's first kernel reads another number, it takes those of the images that it is
    trained on. Of a file with several networks the encoder's architecture says which one it is.

    Raises
    ------
    UserError
        As `read_weights` and `put_into` do.
    """
    architecture = encoder.architecture
    form = architecture.trained_on
    weights = read_weights(path)
    channels = put_into(encoder.backbone, weights, path, architecture.encoder, frozen=frozen)
    if weights.part and architecture.started_from:
        origin = architecture.started_from.model_copy(update={"part": weights.part})
        encoder.architecture = architecture.model_copy(update={"started_from": origin})
    expected = _stored_statistics(weights) if weights.are_ours else input_statistics(architecture.encoder)
    if expected is None:
        log.info("the encoder reads values in [0, 1], as its weights do")
        return
    is_known = form.channels == len(expected[0]) == (channels or form.channels)
    mean, std = expected if is_known else (form.mean, [value or 1.0 for value in form.std])
    encoder.normalization.set(mean, std)
    whose = "the weights were made with"
    if not is_known:
        made_for = channels or len(expected[0])
        unlike = f"the weights are for {counted_channels(made_for)}"
        whose = f"these images have, as {unlike if made_for != form.channels else 'those of the weights are unknown'}"
    shown = (" ".join(f"{value:.3f}" for value in values) for values in (mean, std))
    log.info("the encoder subtracts the mean %s and divides by the standard deviation %s, which %s", *shown, whose)


def _stored_statistics(weights: Weights) -> Statistics | None:
    """Return what a file of this package says of its images, None where its network reads them as they are."""
    if "normalization.mean" not in weights.tensors:  # versions up to 0.1 wrote none
        return None
    mean, std = (weights.tensors[f"normalization.{kind}"].tolist() for kind in ("mean", "std"))
    return (mean, std) if any(mean) or any(value != 1 for value in std) else None
