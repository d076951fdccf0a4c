"""Features of packed images, computed with a frozen network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from simclr_steps.machine.errors import UserError
from simclr_steps.machine.progress import Progress
from simclr_steps.networks.encoders import Classifier, Encoder
from simclr_steps.networks.precision import ieee_fp32
from simclr_steps.settings.sizes import Size

Array = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | Tensor

_IMAGES_AT_A_TIME = 1024
_PIXELS_AT_A_TIME = 1024 * 64 * 64  # larger images come in smaller batches, or their activations would fill the memory


def network_input(images: Tensor, image_size: Size) -> Tensor:
    """Turn packed images into what a network reads: [B, H, W, C] to float32 [B, C, height, width] in [0, 1].

    Packed values are uint8, of which 255 becomes 1, or uint16, of which 65,535 does. Images of another height or width
    than `image_size` are resized to it. The result keeps the memory layout of the packed images, which is
    channels_last.
    """
    x = images.permute(0, 3, 1, 2).to(torch.float32).div_(torch.iinfo(images.dtype).max)
    if images.shape[1:3] == image_size:
        return x
    return F.interpolate(x, size=image_size, mode="bilinear", antialias=True, align_corners=False)


def images_at_a_time(images: Images, read_as: Size = (1, 1)) -> int:
    """Return how many images of this size, [N, H, W, C], make a batch; larger ones may be made of them to be read."""
    pixels = max(images.shape[1] * images.shape[2], read_as[0] * read_as[1])
    return max(1, min(_IMAGES_AT_A_TIME, _PIXELS_AT_A_TIME // pixels))


def check_images(network: Encoder | Classifier, images: Images) -> None:
    """Raise UserError when a network reads packed images of another kind than these, [N, H, W, C]."""
    form, bits = network.architecture.trained_on, 8 * images.dtype.itemsize
    for what, expected, found in (("channel", form.channels, images.shape[3]), ("bit", form.bits, bits)):
        if expected != found:
            raise UserError(
                f"the network expects images with {expected} {what}{'s' * (expected != 1)}, but these have {found}: "
                "use the data it was made for"
            )


def compute_features(
    network: Encoder | Classifier,
    images: Images,
    device: torch.device,
    batch_size: int | None = None,
    view: Callable[[Tensor, Tensor], Tensor] | None = None,
    rows: npt.NDArray[np.int64] | None = None,
    progress: Progress | None = None,
) -> tuple[Array, Array]:
    """Run a network over images, in fp32 and evaluation mode, without touching its weights and statistics.

    Parameters
    ----------
    network
        It is moved to `device`; its training mode is as before when the function returns.
    images
        [N, H, W, C], uint8 or uint16, an array (mapped from disk or not) or a tensor on any device; N may be 0.
    batch_size
        Images that are on the device at a time; None takes 1024, and fewer of images above 64 × 64 pixels.
    view
        What turns a batch of images, [B, H, W, C], and their rows, int64 [B], into what the network reads; None
        leaves them plain.
    rows
        Of the images to run over, int64 [n]; None takes all.
    progress
        Of several calls together, which counts the images; None shows that of this call.

    Returns
    -------
    The network's two outputs: features, float32 [n, D], and projections or logits, float32 [n, P].
    """
    check_images(network, images)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    training = network.training
    network.eval()
    batch_size = batch_size or images_at_a_time(images, network.architecture.image_size)
    wanted = np.arange(len(images)) if rows is None else rows
    progress = progress or Progress("features of", len(wanted))
    parts: list[tuple[Array, ...]] = []
    try:
        with torch.inference_mode(), ieee_fp32(device):
            for start in range(0, max(len(wanted), 1), batch_size):  # no images make one empty batch of the right width
                chosen = wanted[start : start + batch_size]
                batch = images[start : start + batch_size] if rows is None else images[chosen]
                if isinstance(batch, np.ndarray):
                    batch = torch.from_numpy(np.array(batch))  # a copy, as torch takes no read-only map
                batch = batch.to(device)
                if view:
                    x = view(batch, torch.from_numpy(chosen).to(device))
                else:
                    x = network_input(batch, network.architecture.image_size)
                outputs = network(x.contiguous(memory_format=torch.channels_last))
                parts.append(tuple(output.cpu().numpy() for output in outputs))
                progress.add(len(batch))
    finally:
        network.train(training)
    features, second = (np.concatenate(outputs) for outputs in zip(*parts, strict=True))
    return features, second
