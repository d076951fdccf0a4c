"""Random views of images, made in batches on the device that trains, with a draw of its own for every image and view.

`draw` turns random numbers into parameters, and `apply` turns images and parameters into views; each operation follows
torchvision's functional operation of the same name. Geometry is done by small matrix products: a row of a matrix holds
the weights with which one output pixel sees the input's pixels, so one product crops, resizes, antialiases and flips.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from simclr_steps import random_numbers
from simclr_steps.settings import Augmentation

_CROP_ATTEMPTS = 10  # as torchvision.transforms.RandomResizedCrop
_LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601-2, as torchvision's rgb_to_grayscale
_SOLARISE_THRESHOLD = 0.5


@dataclass(frozen=True)
class Parameters:
    """What is done for each of N views; every tensor is [N] or [N, n], float32 unless said otherwise."""

    crop: Tensor  # [N, 4]: top, left, height, width in pixels, whole numbers
    flip_horizontal: Tensor  # bool
    flip_vertical: Tensor  # bool
    rotation: Tensor  # degrees, counter-clockwise
    jitter_order: Tensor  # int64 [N, 4]: brightness 0, contrast 1, saturation 2, hue 3, first to last
    jitter_factors: Tensor  # [N, 4]: three factors, where 1 changes nothing, and the hue's shift in turns
    grayscale: Tensor  # bool
    blur_sigma: Tensor  # pixels, 0 where the view is not blurred
    solarise: Tensor  # bool


def random_views(images: Tensor, key: Tensor, settings: Augmentation, size: int | None = None) -> Tensor:
    """Return a random view of every image for each of its keys.

    Parameters
    ----------
    images: uint8 [B, H, W, C] with 1 or 3 channels.
    key: int64 [V, B] of `random_numbers.keys`, which ties the views to seed, epoch and image.
    size: side of the views in pixels; None keeps the images' own height and width.

    Returns
    -------
    float32 [V, B, C, height, width] in [0, 1].
    """
    height, width = images.shape[1:3]
    parameters = draw(settings, key.flatten(), height, width)
    views = apply(images, parameters, settings, (size or height, size or width))
    return views.reshape(*key.shape, *views.shape[1:])


def draw(settings: Augmentation, key: Tensor, height: int, width: int) -> Parameters:
    """Draw parameters for images of `height` × `width` pixels from keys, int64 [N]."""
    tries, rest = random_numbers.uniform(key, 2 * _CROP_ATTEMPTS + 18).split([2 * _CROP_ATTEMPTS, 18], dim=-1)
    jitter_scores, rest = rest[..., :4], rest[..., 4:]
    jitter_chance, factors, rest = rest[..., 0], rest[..., 1:5], rest[..., 5:]
    place, (left_right, up_down, turn, gray, blur, sigma, sun) = rest[..., :2], rest[..., 2:].unbind(-1)

    strength = torch.tensor(
        [settings.brightness, settings.contrast, settings.saturation, settings.hue], device=key.device
    )
    neutral = torch.tensor([1.0, 1.0, 1.0, 0.0], device=key.device)
    shifted = neutral + (2 * factors - 1) * strength
    shifted = torch.cat([shifted[..., :3].clamp_min(0), shifted[..., 3:]], dim=-1)
    jittered = (jitter_chance < settings.jitter_probability)[..., None]

    low, high = settings.blur_sigma
    return Parameters(
        crop=_draw_crop(settings, tries, place, height, width),
        flip_horizontal=left_right < settings.horizontal_flip_probability,
        flip_vertical=up_down < settings.vertical_flip_probability,
        rotation=(2 * turn - 1) * settings.rotation_degrees,
        jitter_order=jitter_scores.argsort(dim=-1),
        jitter_factors=torch.where(jittered, shifted, neutral),
        grayscale=gray < settings.grayscale_probability,
        blur_sigma=torch.where(blur < settings.blur_probability, low + sigma * (high - low), 0.0),
        solarise=sun < settings.solarise_probability,
    )


def _draw_crop(settings: Augmentation, tries: Tensor, place: Tensor, height: int, width: int) -> Tensor:
    """Draw boxes as RandomResizedCrop does: the first of ten that fits, or else the largest of allowed ratio."""
    area = settings.crop_scale[0] + tries[..., :_CROP_ATTEMPTS] * (settings.crop_scale[1] - settings.crop_scale[0])
    narrow, wide = (math.log(ratio) for ratio in settings.crop_ratio)
    ratio = torch.exp(narrow + tries[..., _CROP_ATTEMPTS:] * (wide - narrow))
    tried_width = torch.round(torch.sqrt(area * height * width * ratio))
    tried_height = torch.round(torch.sqrt(area * height * width / ratio))
    fits = (tried_width > 0) & (tried_width <= width) & (tried_height > 0) & (tried_height <= height)

    first = fits.to(torch.int8).argmax(dim=-1, keepdim=True)
    fallback = min(max(width / height, settings.crop_ratio[0]), settings.crop_ratio[1])
    fallback_height = round(min(height, width / fallback))
    fallback_width = round(min(width, height * fallback))
    found = fits.any(dim=-1)
    box_width = torch.where(found, tried_width.gather(-1, first).squeeze(-1), fallback_width)
    box_height = torch.where(found, tried_height.gather(-1, first).squeeze(-1), fallback_height)
    top = torch.where(found, place[..., 0] * (height - box_height + 1), (height - box_height) / 2).floor()
    left = torch.where(found, place[..., 1] * (width - box_width + 1), (width - box_width) / 2).floor()
    return torch.stack([top, left, box_height, box_width], dim=-1)


def apply(images: Tensor, parameters: Parameters, settings: Augmentation, size: tuple[int, int]) -> Tensor:
    """Make the views that the parameters describe.

    Takes uint8 [B, H, W, C] and parameters of N = V·B views, the first view of all images first; returns float32
    [N, C, height, width] in [0, 1]. Operations that the settings leave out cost nothing.
    """
    x = _crop_and_resize(images, parameters, size)
    if settings.rotation_degrees > 0:
        x = rotate(x, parameters.rotation)
    if settings.jitter_probability > 0:
        x = jitter(x, parameters.jitter_order, parameters.jitter_factors)
    if settings.grayscale_probability > 0 and x.shape[1] == 3:
        x = torch.where(_per_image(parameters.grayscale), _gray(x).expand_as(x), x)
    if settings.blur_probability > 0:
        x = blur(x, parameters.blur_sigma, settings.blur_sigma[1])
    if settings.solarise_probability > 0:
        x = torch.where(_per_image(parameters.solarise) & (x >= _SOLARISE_THRESHOLD), 1 - x, x)
    return x


def _crop_and_resize(images: Tensor, parameters: Parameters, size: tuple[int, int]) -> Tensor:
    """Crop, resize and flip: uint8 [B, H, W, C] to float32 [V·B, C, height, width]."""
    count, height, width, channels = images.shape
    views = len(parameters.crop) // count
    top, left, box_height, box_width = parameters.crop.unbind(-1)
    rows = _resize_weights(top, box_height, parameters.flip_vertical, height, size[0])
    columns = _resize_weights(left, box_width, parameters.flip_horizontal, width, size[1])

    x = images.to(torch.float32).div(255).reshape(count, height, width * channels)
    rows = rows.reshape(views, count, size[0], height).transpose(0, 1).reshape(count, views * size[0], height)
    x = (rows @ x).reshape(count, views, size[0], width, channels)
    x = x.permute(1, 0, 3, 2, 4).reshape(views * count, width, size[0] * channels)
    x = (columns @ x).reshape(views * count, size[1], size[0], channels)
    return x.permute(0, 3, 2, 1).contiguous()


def _resize_weights(start: Tensor, length: Tensor, flip: Tensor, pixels: int, size: int) -> Tensor:
    """Return [..., size, pixels]: antialiased bilinear weights of a box's pixels in the resized and flipped result."""
    scale = (length / size)[..., None, None]
    place = torch.arange(size, device=start.device, dtype=torch.float32)
    place = torch.where(flip[..., None], size - 1 - place, place)[..., None]
    pixel = torch.arange(pixels, device=start.device, dtype=torch.float32) - start[..., None, None]
    weights = (1 - (pixel + 0.5 - scale * (place + 0.5)).abs() / scale.clamp_min(1)).clamp_min(0)
    weights = weights * ((pixel >= 0) & (pixel < length[..., None, None]))
    return weights / weights.sum(dim=-1, keepdim=True)


def rotate(x: Tensor, degrees: Tensor) -> Tensor:
    """Turn each image counter-clockwise about its centre, bilinear, black outside: [N, C, H, W] and [N]."""
    height, width = x.shape[-2:]
    angle = torch.deg2rad(degrees)
    cosine, sine, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    rows = [cosine, -sine * (height / width), zero, sine * (width / height), cosine, zero]
    grid = F.affine_grid(torch.stack(rows, dim=-1).view(-1, 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def jitter(x: Tensor, order: Tensor, factors: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and hue, in each image's own order.

    Parameters: `x` float [N, C, H, W] in [0, 1]; `order` int64 [N, 4] and `factors` float [N, 4] as in `Parameters`.
    An image of one channel has neither saturation nor hue.
    """
    colour = x.shape[1] == 3
    for turn in order.unbind(-1):
        factor = _per_image(factors.gather(-1, turn[:, None]).squeeze(-1))
        operation = _per_image(turn)
        gray = _gray(x)
        other = torch.where(operation == 1, gray.mean(dim=(-2, -1), keepdim=True), 0.0)
        if colour:
            other = torch.where(operation == 2, gray, other)
        blended = (other + (x - other) * factor).clamp(0, 1)
        x = torch.where(operation < (3 if colour else 2), blended, shift_hue(x, factor) if colour else x)
    return x


def shift_hue(x: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of RGB images [N, 3, H, W] by a share of the colour circle [N, 1, 1, 1], through HSV."""
    red, green, blue = x.unbind(1)
    value, least = x.amax(dim=1), x.amin(dim=1)
    chroma = value - least
    divisor = torch.where(chroma == 0, 1.0, chroma)
    sector = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    sector = sector + 6 * turns.squeeze(1)
    # A channel lies below the value by chroma · clamp(min(k, 4 - k), 0, 1) with k = (n + sector) mod 6; n = 5, 3, 1.
    offset = torch.tensor([5.0, 3.0, 1.0], device=x.device)[:, None, None]
    k = torch.remainder(offset + sector[:, None], 6)
    return value[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp(0, 1)


def blur(x: Tensor, sigma: Tensor, largest_sigma: float) -> Tensor:
    """Blur each image with its own Gaussian, reflecting at the edges; sigma 0 leaves it as it is.

    Parameters: `x` float [N, C, H, W]; `sigma` float [N] in pixels. The kernel reaches two largest sigmas to each side.
    """
    reach = blur_reach(largest_sigma, min(x.shape[-2:]))
    distance = torch.arange(-reach, reach + 1, device=x.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (distance / sigma.clamp_min(1e-6)[:, None]) ** 2)
    kernel = kernel / kernel.sum(dim=-1, keepdim=True)
    rows, columns = (_band_matrix(kernel, side) for side in x.shape[-2:])
    return rows[:, None] @ x @ columns[:, None].transpose(-2, -1)


def blur_reach(largest_sigma: float, side: int) -> int:
    """Return how many pixels the blur's kernel reaches to each side: two sigmas, short of reflecting twice."""
    return min(math.ceil(2 * largest_sigma), side - 1)


def _band_matrix(kernel: Tensor, side: int) -> Tensor:
    """Return [N, side, side], the matrix that convolves a line of `side` pixels with each kernel [N, 2·reach + 1]."""
    reach = kernel.shape[1] // 2
    seen = torch.arange(side, device=kernel.device)[:, None] + torch.arange(-reach, reach + 1, device=kernel.device)
    seen = seen.abs()
    seen = (side - 1) - ((side - 1) - seen).abs()
    taps = F.one_hot(seen, side).to(kernel.dtype)  # [side, taps, side]
    return torch.einsum("nt,stp->nsp", kernel, taps)


def _gray(x: Tensor) -> Tensor:
    """Return the luma of [N, C, H, W] as [N, 1, H, W]."""
    if x.shape[1] == 1:
        return x
    red, green, blue = _LUMA
    return x[:, :1] * red + x[:, 1:2] * green + x[:, 2:] * blue


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]
