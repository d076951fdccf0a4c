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
_CONTRAST, _SATURATION, _HUE = 1, 2, 3  # operations of the colour jitter; brightness is 0


@dataclass(frozen=True)
class Parameters:
    """What is done for each of N views; every tensor is [N] or [N, n], float32 unless said otherwise."""

    crop: Tensor  # [N, 4]: top, left, height, width in pixels, whole numbers
    flip_horizontal: Tensor  # bool
    flip_vertical: Tensor  # bool
    rotation: Tensor  # degrees, counter-clockwise
    jitter_order: Tensor  # int64 [N, k]: the k of brightness 0, contrast 1, saturation 2, hue 3 that are on, in order
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
    return views.view(*key.shape, *views.shape[1:])


def draw(settings: Augmentation, key: Tensor, height: int, width: int) -> Parameters:
    """Draw parameters for images of `height` × `width` pixels from keys, int64 [N]."""
    tries, scores, factors, rest = random_numbers.uniform(key, 2 * _CROP_ATTEMPTS + 20).split(
        [2 * _CROP_ATTEMPTS, 4, 4, 12], dim=-1
    )
    top, left, crop, left_right, up_down, turn, turns, jitters, gray, blurs, sigma, sun = rest.unbind(-1)
    low, high = settings.blur_sigma
    return Parameters(
        crop=_draw_crop(settings, tries, (top, left), crop < settings.crop_probability, height, width),
        flip_horizontal=left_right < settings.horizontal_flip_probability,
        flip_vertical=up_down < settings.vertical_flip_probability,
        rotation=((2 * turn - 1) * settings.rotation_degrees).masked_fill(turns >= settings.rotation_probability, 0),
        jitter_order=_draw_order(settings, scores),
        jitter_factors=_draw_factors(settings, factors, jitters >= settings.jitter_probability),
        grayscale=gray < settings.grayscale_probability,
        blur_sigma=(low + sigma * (high - low)).masked_fill(blurs >= settings.blur_probability, 0),
        solarise=sun < settings.solarise_probability,
    )


def _draw_order(settings: Augmentation, scores: Tensor) -> Tensor:
    """Return the operations of the colour jitter that are on, in the order of their scores, float [N, 4]."""
    on = [strength > 0 for strength in _jitter_strengths(settings)]
    off_last = [score + (0 if is_on else 1) for score, is_on in zip(scores.unbind(-1), on, strict=True)]
    return torch.stack(off_last, dim=-1).argsort(dim=-1)[:, : sum(on)]


def _draw_factors(settings: Augmentation, numbers: Tensor, left_out: Tensor) -> Tensor:
    """Return factors about 1 and the hue's shift about 0 from numbers in [0, 1), float [N, 4]; neutral if left out."""
    *strengths, hue = _jitter_strengths(settings)
    numbers = 2 * numbers - 1
    factors = [
        (1 + number * strength).clamp_min(0).masked_fill(left_out, 1)
        for number, strength in zip(numbers.unbind(-1)[:3], strengths, strict=True)
    ]
    return torch.stack([*factors, (numbers[:, _HUE] * hue).masked_fill(left_out, 0)], dim=-1)


def _jitter_strengths(settings: Augmentation) -> tuple[float, float, float, float]:
    return settings.brightness, settings.contrast, settings.saturation, settings.hue


def _draw_crop(
    settings: Augmentation, tries: Tensor, place: tuple[Tensor, Tensor], crops: Tensor, height: int, width: int
) -> Tensor:
    """Draw boxes as RandomResizedCrop does: the first of ten that fits, or else the largest of allowed ratio.

    An image that is not cropped gets the box of all its pixels.
    """
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
    sides = []
    for tried, otherwise, whole in ((tried_height, fallback_height, height), (tried_width, fallback_width, width)):
        side = tried.gather(-1, first).squeeze(-1).masked_fill(~found, otherwise)
        sides.append(side.masked_fill(~crops, whole))
    top, left = (
        torch.where(found, share * (whole - side + 1), (whole - side) / 2).floor()
        for share, whole, side in zip(place, (height, width), sides, strict=True)
    )
    return torch.stack([top, left, *sides], dim=-1)


def apply(images: Tensor, parameters: Parameters, settings: Augmentation, size: tuple[int, int]) -> Tensor:
    """Make the views that the parameters describe.

    Takes uint8 [B, H, W, C] and parameters of N = V·B views, the first view of all images first; returns float32
    [N, C, height, width] in [0, 1]. Operations that the settings leave out cost nothing.
    """
    x = _crop_and_resize(images, parameters, size)
    if settings.rotation_probability * settings.rotation_degrees > 0:
        x = rotate(x, parameters.rotation)
    if settings.jitter_probability > 0:
        x = jitter(x, parameters.jitter_order, parameters.jitter_factors, shifts_hue=settings.hue > 0)
    if settings.grayscale_probability > 0 and x.shape[1] == 3:
        x = torch.where(_per_image(parameters.grayscale), _luma(x).expand_as(x), x)
    if settings.blur_probability > 0:
        x = blur(x, parameters.blur_sigma, settings.blur_sigma[1])
    if settings.solarise_probability > 0:
        x = torch.where(_per_image(parameters.solarise) & (x >= settings.solarise_threshold), 1 - x, x)
    return x


def _crop_and_resize(images: Tensor, parameters: Parameters, size: tuple[int, int]) -> Tensor:
    """Crop, resize and flip: uint8 [B, H, W, C] to float32 [V·B, C, height, width]."""
    count, height, width, channels = images.shape
    views = len(parameters.crop) // count
    top, left, box_height, box_width = parameters.crop.unbind(-1)
    rows = _resize_weights(top, box_height, parameters.flip_vertical, height, size[0])
    columns = _resize_weights(left, box_width, parameters.flip_horizontal, width, size[1])

    rows = rows.unflatten(0, (views, count)).transpose(0, 1).reshape(count, views * size[0], height)
    columns = columns.unflatten(0, (views, count)).transpose(0, 1)

    x = images.transpose(2, 3).to(torch.float32, memory_format=torch.contiguous_format).div_(255)
    x = rows @ x.view(count, height, channels * width)
    x = x.view(count, views, size[0] * channels, width) @ columns.transpose(-2, -1)
    x = x.view(count, views, size[0], channels, size[1]).permute(1, 0, 3, 2, 4)
    result: Tensor = x.reshape(views * count, channels, *size)
    return result


def _resize_weights(start: Tensor, length: Tensor, flip: Tensor, pixels: int, size: int) -> Tensor:
    """Return [..., size, pixels]: antialiased bilinear weights of a box's pixels in the resized and flipped result."""
    scale = (length / size)[..., None]
    reach = scale.clamp_min(1)
    place = torch.arange(size, device=start.device, dtype=torch.float32)
    place = torch.where(flip[..., None], size - 1 - place, place)
    pixel = torch.arange(pixels, device=start.device, dtype=torch.float32) - start[..., None]
    outside = (pixel < 0) | (pixel >= length[..., None])
    pixel = ((pixel + 0.5) / reach).masked_fill(outside, math.inf)  # too far to be seen
    distance = (pixel[..., None, :] - (scale * (place + 0.5) / reach)[..., None]).abs_()
    weights = distance.neg_().add_(1).clamp_min_(0)
    return weights.div_(weights.sum(dim=-1, keepdim=True))


def rotate(x: Tensor, degrees: Tensor) -> Tensor:
    """Turn each image counter-clockwise about its centre, bilinear, black outside: [N, C, H, W] and [N]."""
    height, width = x.shape[-2:]
    angle = torch.deg2rad(degrees)
    cosine, sine, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    rows = [cosine, -sine * (height / width), zero, sine * (width / height), cosine, zero]
    grid = F.affine_grid(torch.stack(rows, dim=-1).view(-1, 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def jitter(x: Tensor, order: Tensor, factors: Tensor, *, shifts_hue: bool = True) -> Tensor:
    """Change brightness, contrast, saturation and hue, in each image's own order.

    Parameters: `x` float [N, C, H, W] in [0, 1]; `order` int64 [N, k] and `factors` float [N, 4] as in `Parameters`;
    `shifts_hue` is whether hue is among the k. An image of one channel has neither saturation nor hue.
    """
    turns = range(order.shape[1])
    if not (shifts_hue and x.shape[1] == 3):
        for turn in turns:
            x = _blend(x, order[:, turn], factors)
        return x
    # Hue costs most, so all images take it together, with the turns before theirs made before and the rest after.
    hue_turn = (order == _HUE).int().argmax(dim=1)
    for turn in turns[:-1]:
        x = _blend(x, order[:, turn].masked_fill(turn > hue_turn, _HUE), factors)
    x = shift_hue(x, _per_image(factors[:, _HUE]))
    for turn in turns[1:]:
        x = _blend(x, order[:, turn].masked_fill(turn < hue_turn, _HUE), factors)
    return x


def _blend(x: Tensor, operation: Tensor, factors: Tensor) -> Tensor:
    """Blend each image with black (brightness), its mean luma (contrast) or its luma (saturation); hue is left out."""
    factor = factors.gather(1, operation[:, None]).squeeze(1).masked_fill(operation == _HUE, 1)
    luma = _luma(x)
    to_luma = (1 - factor).masked_fill(operation != _SATURATION, 0)
    to_mean = (1 - factor).masked_fill(operation != _CONTRAST, 0)
    other = torch.addcmul(luma.mean(dim=(-2, -1), keepdim=True) * _per_image(to_mean), luma, _per_image(to_luma))
    return torch.addcmul(other, x, _per_image(factor)).clamp_(0, 1)


def shift_hue(x: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of RGB images [N, 3, H, W] by a share of the colour circle [N, 1, 1, 1], through HSV."""
    red, green, blue = x.unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    divisor = chroma.clamp_min(1e-9)  # the numerators are 0 where the chroma is
    sector = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    sector += 6 * turns.squeeze(1)
    # A channel lies below the value by chroma · clamp(2 - d, 0, 1), d being the way round the circle of six sectors
    # from the channel's complement: sector 3 for red, 5 for green, 1 for blue.
    complement = torch.arange(3, 8, 2, device=x.device)[:, None, None]
    distance = sector[:, None] - complement
    distance.sub_((distance / 6).round_(), alpha=6).abs_()
    below = distance.neg_().add_(2).clamp_(0, 1)
    return torch.addcmul(value[:, None], below, chroma[:, None], value=-1)


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
    pixel = torch.arange(side, device=kernel.device)
    seen = (pixel[:, None] + torch.arange(-reach, reach + 1, device=kernel.device)).abs()
    seen = (side - 1) - ((side - 1) - seen).abs()
    taps = (seen[..., None] == pixel).to(kernel.dtype)  # [side, taps, side]
    return torch.einsum("nt,stp->nsp", kernel, taps)


def _luma(x: Tensor) -> Tensor:
    """Return the luma of [N, C, H, W] as [N, 1, H, W]."""
    if x.shape[1] == 1:
        return x
    red, green, blue = _LUMA
    return (x[:, :1] * red).add_(x[:, 1:2], alpha=green).add_(x[:, 2:], alpha=blue)


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]
