"""Encoders and classifiers in Python: from images, as their files hold them, to features and probabilities."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from simclr_steps.data.conversions import Conversions
from simclr_steps.data.decoding import Decoded, decode, resized
from simclr_steps.data.opened_images import decode_opened
from simclr_steps.data.packed import Pixels
from simclr_steps.data.readable import UnreadableError, check_type
from simclr_steps.data.row_tables import probabilities
from simclr_steps.data.scaling import as_packed
from simclr_steps.machine.errors import UserError
from simclr_steps.networks import encoders
from simclr_steps.networks.encoders import Classifier, Encoder, load_network
from simclr_steps.networks.features import images_at_a_time, network_input
from simclr_steps.networks.precision import ieee_fp32

Array = npt.NDArray[np.float32]
Images = Sequence[Any] | npt.NDArray[Any] | Tensor  # of [H, W, C] or, of one channel, [H, W]


class _Trained:
    """A trained network on a device, with the size, channels, depth and value range of the images that it reads."""

    def __init__(self, network: Encoder | Classifier, device: torch.device) -> None:
        self.image_format = network.architecture.trained_on
        self.feature_size = network.feature_size
        self.device = device
        self._whole = network.to(device)

    def prepare(self, images: Images) -> Tensor:
        """Return images as the network reads them: cut, resized and scaled as in training.

        Parameters
        ----------
        images
            Arrays or tensors of any size, each [H, W, C] or [H, W], with the values of their files, or Pillow images,
            which are turned, put on white and made gray or colored as their files would be.

        Returns
        -------
        float32 [N, C, height, width] in [0, 1], on the device.

        Raises
        ------
        UserError
            When an image is of another type or number of channels than those of the training.
        """
        return self._input(self._batch([*self._all_packed(images)]))

    def _input(self, packed: Pixels) -> Tensor:
        return network_input(torch.from_numpy(packed).to(self.device), self._whole.architecture.image_size)

    def _batch(self, images: list[Pixels]) -> Pixels:
        form = self.image_format
        batch: Pixels = np.empty((len(images), *form.size, form.channels), form.packed_dtype)
        for place, image in zip(batch, images, strict=True):
            place[...] = image
        return batch

    def _all_packed(self, images: Images) -> Iterator[Pixels]:
        if self._is_one(images):
            raise UserError("images is a single image: give a list, [image]")
        return (self._packed(image, f"images[{number}]") for number, image in enumerate(images))

    def _is_one(self, images: Any) -> bool:
        """Return whether this is an image, rather than several: of three axes, the last is that of the channels."""
        if isinstance(images, np.ndarray | Tensor):
            return images.ndim == 3 and images.shape[-1] == self.image_format.channels
        return isinstance(images, Image.Image)

    def _packed(self, image: Any, name: str) -> Pixels:
        """Return an image as its data set would have packed it."""
        if isinstance(image, Image.Image):
            return self._readable(decode_opened(image, self.image_format), name)
        try:
            values = np.asarray(image.detach().cpu() if isinstance(image, Tensor) else image)
        except (ValueError, TypeError) as error:
            raise UserError(f"{name}: it is no array ({error}): give [H, W, C] or [H, W]") from error
        if values.ndim not in (2, 3):
            raise UserError(f"{name}: its shape is {values.shape}: give [H, W, C] or [H, W]")
        try:
            check_type(values.dtype)
            decoded: Decoded | str = resized(values if values.ndim == 3 else values[..., None], self.image_format)
        except UnreadableError as error:
            decoded = str(error)
        return self._readable(decoded, name)

    def _readable(self, image: Decoded | str, name: str) -> Pixels:
        packed = as_packed(image, self.image_format)
        if isinstance(packed, str):
            raise UserError(f"{name}: {packed}")
        return packed

    def _decoded(self, files: Iterable[str | Path]) -> Iterator[Pixels]:
        conversions = Conversions()
        for file in map(Path, files):
            image = decode(file, self.image_format)
            if isinstance(image, Decoded):
                conversions.add(file, image.conversions)
            yield self._readable(image, str(file))
        conversions.report()

    def _outputs(self, images: Iterable[Pixels]) -> tuple[Array, Array]:
        """Return both outputs of the network for images, a batch at a time, and leave it in evaluation mode."""
        self._whole.eval()
        waiting, at_once = iter(images), images_at_a_time(self._batch([]), self._whole.architecture.image_size)
        parts: list[tuple[Array, ...]] = []
        with torch.inference_mode(), ieee_fp32(self.device):
            while (some := list(islice(waiting, at_once))) or not parts:  # no images make one batch of the right width
                outputs = self._whole(self._input(self._batch(some)))
                parts.append(tuple(output.cpu().numpy() for output in outputs))
        features, second = (np.concatenate(outputs) for outputs in zip(*parts, strict=True))
        return features, second


class TrainedEncoder(_Trained):
    """An encoder to call on images; `load_encoder` makes it.

    Attributes
    ----------
    network
        The torch.nn.Module from what `prepare` returns to features [N, feature_size], to train further or to build in.
        It consists of `normalization`, which changes nothing unless given weights expect a mean and a standard
        deviation, and `backbone`.
    image_format
        Of the images that the encoder was trained on: height, width, channels, dtype, value_range and more.
    feature_size
        The number of features.
    device
        Where the network is.
    """

    def __init__(self, network: Encoder | Classifier, device: torch.device) -> None:
        super().__init__(network, device)
        self.network = nn.Sequential(OrderedDict(normalization=network.normalization, backbone=network.backbone))

    def __call__(self, images: Images) -> Array:
        """Return the features of images, float32 [N, feature_size]; `prepare` says what images are."""
        return self._outputs(self._all_packed(images))[0]


class TrainedClassifier(_Trained):
    """A classifier to call on images; `load_classifier` makes it.

    Attributes
    ----------
    classes
        Their names, in the order of the probabilities.
    network
        The torch.nn.Module from what `prepare` returns to logits [N, classes]: `normalization`, `backbone` and `head`.
    temperature
        What these logits are divided by before their softmax gives the probabilities.
    image_format, feature_size, device
        As those of an encoder.
    """

    def __init__(self, network: Classifier, device: torch.device) -> None:
        super().__init__(network, device)
        self.classes, self.temperature = network.class_names, network.temperature
        self.network = nn.Sequential(
            OrderedDict(normalization=network.normalization, backbone=network.backbone, head=network.head)
        )

    def __call__(self, images: Images) -> Array:
        """Return the probabilities of the classes for images, float32 [N, classes]; `prepare` says what images are."""
        return probabilities(self._outputs(self._all_packed(images))[1])


def load_encoder(
    path: str | Path, *, device: str | torch.device | None = None, trust: str | None = None
) -> TrainedEncoder:
    """Load the encoder of a file, encoder.safetensors or a classifier's model.safetensors, to call on images.

    Parameters
    ----------
    path
        The file.
    device
        Where to compute; None takes a GPU if there is one.
    trust
        Module of your own encoder, to run even though its code has changed since training.

    Raises
    ------
    UserError
        When the file is absent, damaged or no network of this package, or the device is not there.
    """
    return TrainedEncoder(load_network(Path(path), trust=trust), _device(device))


def load_classifier(
    path: str | Path, *, device: str | torch.device | None = None, trust: str | None = None
) -> TrainedClassifier:
    """Load the classifier of a model.safetensors, to call on images; the parameters are those of `load_encoder`.

    Raises
    ------
    UserError
        When the file is absent, damaged or no classifier of this package.
    """
    return TrainedClassifier(encoders.load_classifier(Path(path), trust=trust), _device(device))


def _device(device: str | torch.device | None) -> torch.device:
    try:
        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:  # what torch raises for one that is not there
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f'device="{device}" cannot be used ({reason}): give "cpu", or leave it out') from error
    return chosen


def embed_images(model: TrainedEncoder | TrainedClassifier, files: Iterable[str | Path]) -> Array:
    """Return the features of image files in their order, float32 [N, feature_size], as `simclr embed` computes them.

    The files are decoded one after the other, in this process; `simclr embed` uses all cores and skips what it cannot
    read.

    Raises
    ------
    UserError
        When a file cannot be read, or holds an image of another kind than those of the training.
    """
    return model._outputs(model._decoded([files] if isinstance(files, str | Path) else files))[0]
