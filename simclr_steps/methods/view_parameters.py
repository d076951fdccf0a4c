"""What is done to make each view, drawn for every image and view by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from simclr_steps.methods import random_numbers
from simclr_steps.settings.augmentation import Augmentation

_CROP_ATTEMPTS = 10  # as torchvision.transforms.RandomResizedCrop
CONTRAST, SATURATION, HUE = 1, 2, 3  # operations of the color jitter; brightness is 0


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
    solarize: Tensor  # bool


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
        solarize=sun < settings.solarize_probability,
    )


def _draw_order(settings: Augmentation, scores: Tensor) -> Tensor:
    """Return the operations of the color jitter that are on, in the order of their scores, float [N, 4]."""
    on = [strength > 0 for strength in _jitter_strengths(settings)]
    off_last = [score + (0 if is_on else 1) for score, is_on in zip(scores.unbind(-1), on, strict=True)]
    return torch.stack(off_last, dim=-1).argsort(dim=-1)[:, : sum(on)]


def _draw_factors(settings: Augmentation, numbers: Tensor, left_out: Tensor) -> Tensor:
    """Return factors about 1 and the hue's shift about 0 from numbers in [0, 1), float [N, 4]; neutral if left out.

    A factor is uniform in [max(0, 1 - strength), 1 + strength], as torchvision's.
    """
    *strengths, hue = _jitter_strengths(settings)
    *numbers_of_factors, number_of_hue = numbers.unbind(-1)
    factors = []
    for number, strength in zip(numbers_of_factors, strengths, strict=True):
        least, most = max(0.0, 1 - strength), 1 + strength
        factors.append((least + number * (most - least)).masked_fill(left_out, 1))
    return torch.stack([*factors, ((2 * number_of_hue - 1) * hue).masked_fill(left_out, 0)], dim=-1)


def _jitter_strengths(settings: Augmentation) -> tuple[float, float, float, float]:
    return settings.brightness, settings.contrast, settings.saturation, settings.hue


def _draw_crop(
    settings: Augmentation, tries: Tensor, place: tuple[Tensor, Tensor], crops: Tensor, height: int, width: int
) -> Tensor:
    """Draw boxes as RandomResizedCrop does: the first of ten that fits, or else the largest of allowed ratio.

    A box holds a pixel at least. An image that is not cropped gets the box of all its pixels.
    """
    area = settings.crop_scale[0] + tries[..., :_CROP_ATTEMPTS] * (settings.crop_scale[1] - settings.crop_scale[0])
    narrow, wide = (math.log(ratio) for ratio in settings.crop_ratio)
    ratio = torch.exp(narrow + tries[..., _CROP_ATTEMPTS:] * (wide - narrow))
    tried_width = torch.round(torch.sqrt(area * height * width * ratio))
    tried_height = torch.round(torch.sqrt(area * height * width / ratio))
    fits = (tried_width > 0) & (tried_width <= width) & (tried_height > 0) & (tried_height <= height)

    first = fits.to(torch.int8).argmax(dim=-1, keepdim=True)
    fallback = min(max(width / height, settings.crop_ratio[0]), settings.crop_ratio[1])
    fallback_height = max(1, round(min(height, width / fallback)))
    fallback_width = max(1, round(min(width, height * fallback)))
    has_fit = fits.any(dim=-1)
    sides = []
    for tried, otherwise, whole in ((tried_height, fallback_height, height), (tried_width, fallback_width, width)):
        side = tried.gather(-1, first).squeeze(-1).masked_fill(~has_fit, otherwise)
        sides.append(side.masked_fill(~crops, whole))
    top, left = (
        torch.where(has_fit, share * (whole - side + 1), (whole - side) / 2).floor()
        for share, whole, side in zip(place, (height, width), sides, strict=True)
    )
    return torch.stack([top, left, *sides], dim=-1)
