"""The parameters of each view, drawn independently for every image and view."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from simclr_steps.methods import random_numbers
from simclr_steps.settings.augmentation import Augmentation

_CROP_ATTEMPTS = 10  # as torchvision.transforms.RandomResizedCrop
CONTRAST, SATURATION, HUE = 1, 2, 3  # operations of the color jitter; brightness is 0
_NOISE = 1  # what the noise's keys are derived for

_Strengths = tuple[float, float, float, float]  # of brightness, contrast, saturation and hue


@dataclass(frozen=True)
class Parameters:
    """What is done for each of N views of C channels; every tensor is [N] or [N, n], float32 unless said otherwise."""

    crop: Tensor  # [N, 4]: top, left, height, width in pixels, whole numbers
    flip_horizontal: Tensor  # bool
    flip_vertical: Tensor  # bool
    quarter_turns: Tensor  # int64, 0 to 3, counter-clockwise
    rotation: Tensor  # degrees, counter-clockwise
    gamma: Tensor  # [N, 1] exponents, or [N, C] where each channel has its own; 1 changes nothing
    jitter_order: Tensor  # int64 [N, k]: the k of brightness 0, contrast 1, saturation 2, hue 3 that are on, in order
    jitter_factors: Tensor  # [N, 4]: three factors, where 1 changes nothing, and the hue's shift in turns; or [N, C, 4]
    grayscale: Tensor  # bool
    blur_sigma: Tensor  # pixels, 0 where the view is not blurred
    solarize: Tensor  # bool
    noise_key: Tensor  # int64, for the noise of each pixel
    dropped: Tensor  # [N, C] bool, never all of a view


def draw(
    settings: Augmentation, key: Tensor, height: int, width: int, channels: int = 3, *, is_color: bool = True
) -> Parameters:
    """Draw parameters for images of `height` × `width` pixels from keys, int64 [N].

    Channels that are no colors have factors and exponents of their own.
    """
    # New numbers go to the end: in another place, they would change all views that were ever drawn.
    numbers = random_numbers.uniform(key, 2 * _CROP_ATTEMPTS + 21 + 6 * channels)
    tries, scores, factors, rest, quarter, of_channels = numbers.split(
        [2 * _CROP_ATTEMPTS, 4, 4, 12, 1, 6 * channels], dim=-1
    )
    top, left, crop, left_right, up_down, turn, turns, jitters, gray, blurs, sigma, sun = rest.unbind(-1)
    factors_of_channels, gamma, drops = of_channels.unflatten(-1, (channels, 6)).split([4, 1, 1], dim=-1)
    gamma, drops = gamma.squeeze(-1), drops.squeeze(-1)
    left_out = (jitters >= settings.jitter_probability)[:, None]
    if each_by_itself(channels, is_color=is_color):
        strengths = settings.brightness, settings.contrast, 0.0, 0.0
        factors, not_jittered = factors_of_channels, left_out
    else:
        strengths = settings.brightness, settings.contrast, settings.saturation, settings.hue
        gamma, not_jittered = gamma[:, :1], left_out[:, 0]
    low, high = settings.blur_sigma
    return Parameters(
        crop=_draw_crop(settings, tries, (top, left), crop < settings.crop_probability, height, width),
        flip_horizontal=left_right < settings.horizontal_flip_probability,
        flip_vertical=up_down < settings.vertical_flip_probability,
        quarter_turns=(4 * quarter[:, 0] * settings.quarter_turns).long(),
        rotation=((2 * turn - 1) * settings.rotation_degrees).masked_fill(turns >= settings.rotation_probability, 0),
        gamma=torch.exp((2 * gamma - 1) * math.log1p(settings.gamma)).masked_fill(left_out, 1),
        jitter_order=_draw_order(strengths, scores),
        jitter_factors=_draw_factors(strengths, factors, not_jittered),
        grayscale=gray < settings.grayscale_probability,
        blur_sigma=(low + sigma * (high - low)).masked_fill(blurs >= settings.blur_probability, 0),
        solarize=sun < settings.solarize_probability,
        noise_key=random_numbers.derived(key, _NOISE),
        dropped=(drops < settings.channel_drop_probability) & (drops < drops.amax(dim=-1, keepdim=True)),
    )


def each_by_itself(channels: int, *, is_color: bool) -> bool:
    """Return whether each channel is a picture of its own: not the only one, and not a color."""
    return channels > 1 and not is_color


def _draw_order(strengths: _Strengths, scores: Tensor) -> Tensor:
    """Return the operations of the color jitter that are on, in the order of their scores, float [N, 4]."""
    on = [strength > 0 for strength in strengths]
    off_last = [score + (0 if is_on else 1) for score, is_on in zip(scores.unbind(-1), on, strict=True)]
    return torch.stack(off_last, dim=-1).argsort(dim=-1)[:, : sum(on)]


def _draw_factors(strengths: _Strengths, numbers: Tensor, left_out: Tensor) -> Tensor:
    """Return factors about 1 and the hue's shift about 0 from numbers in [0, 1), float [..., 4]; neutral if left out.

    A factor is uniform in [max(0, 1 - strength), 1 + strength], as torchvision's.
    """
    *of_factors, hue = strengths
    *numbers_of_factors, number_of_hue = numbers.unbind(-1)
    factors = []
    for number, strength in zip(numbers_of_factors, of_factors, strict=True):
        least, most = max(0.0, 1 - strength), 1 + strength
        factors.append((least + number * (most - least)).masked_fill(left_out, 1))
    return torch.stack([*factors, ((2 * number_of_hue - 1) * hue).masked_fill(left_out, 0)], dim=-1)


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
