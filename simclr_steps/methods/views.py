"""Random views of images, made in batches on the training device, and drawn independently for every image and view.

`draw` turns random numbers into parameters, and `apply` turns images and parameters into views; each operation follows
torchvision's functional operation of the same name. Their cost is the memory that they move. So each line of pixels is
summed from the few lines that it sees, which crops, resizes, antialiases and flips in one pass; and colors are changed
in one plane [N, H, W] for each channel, as operations on planes are what a compiler joins into one pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from simclr_steps.methods import random_numbers
from simclr_steps.methods.view_parameters import CONTRAST, HUE, SATURATION, Parameters, draw, each_by_itself
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.sizes import Size

_LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601-2, as torchvision's rgb_to_grayscale


def random_views(
    images: Tensor, key: Tensor, settings: Augmentation, size: Size | None = None, is_color: bool | None = None
) -> Tensor:
    """Return a random view of every image for each of its keys.

    Parameters
    ----------
    images
        uint8 or uint16 [B, H, W, C].
    key
        int64 [V, B] of `random_numbers.keys`, which ties the views to seed, epoch and image.
    size
        Height and width of the views in pixels; None keeps the images' own.
    is_color
        Whether the channels are red, green and blue; None takes three for these. Only colors have saturation, hue and
        grayscale, and share one factor for brightness, for contrast and for gamma.

    Returns
    -------
    float32 [V, B, C, height, width] in [0, 1].
    """
    height, width, channels = images.shape[1:]
    is_color = channels == 3 if is_color is None else is_color
    parameters = draw(settings, key.flatten(), height, width, channels, is_color=is_color)
    views = apply(images, parameters, settings, size or (height, width), is_color=is_color)
    return views.view(*key.shape, *views.shape[1:])


def apply(
    images: Tensor, parameters: Parameters, settings: Augmentation, size: Size, *, is_color: bool = True
) -> Tensor:
    """Make the views that the parameters describe.

    Takes uint8 or uint16 [B, H, W, C] and parameters of N = V·B views, the first view of all images first; returns
    float32 [N, C, height, width] in [0, 1]. Operations that the settings leave out cost nothing.
    """
    x = _crop_and_resize(images, parameters, settings, size)
    if settings.rotation_probability * settings.rotation_degrees > 0:
        x = rotate(x, parameters.rotation)
    if settings.jitter_probability * settings.gamma > 0:
        x = x ** _per_image(parameters.gamma)
    if each_by_itself(x.shape[1], is_color=is_color):
        x = _recolor_each(x, parameters, settings)
    elif settings.jitter_probability > 0 or settings.grayscale_probability > 0:
        x = _recolor(x, parameters, settings)
    if settings.blur_probability > 0:
        x = blur(x, parameters.blur_sigma, settings.blur_sigma[1])
    if settings.solarize_probability > 0:
        x = torch.where(_per_image(parameters.solarize[:, None]) & (x >= settings.solarize_threshold), 1 - x, x)
    if settings.noise_std > 0:
        noise = random_numbers.normal(parameters.noise_key, math.prod(x.shape[1:])).view_as(x)
        x = torch.add(x, noise, alpha=settings.noise_std).clamp_(0, 1)
    if settings.channel_drop_probability > 0:
        x = x.masked_fill(_per_image(parameters.dropped), 0)
    return x


def _crop_and_resize(images: Tensor, parameters: Parameters, settings: Augmentation, size: Size) -> Tensor:
    """Crop, resize, flip and make quarter turns: uint8 or uint16 [B, H, W, C] to float32 [V·B, C, height, width]."""
    top, left, height, width = parameters.crop.unbind(-1)
    left_right, up_down, turns = parameters.flip_horizontal, parameters.flip_vertical, parameters.quarter_turns
    if settings.quarter_turns:  # two are two flips, and one is a left-right flip and an exchange of rows and columns
        turns = turns if size[0] == size[1] else turns - turns % 2
        left_right, up_down = left_right ^ ((turns == 1) | (turns == 2)), up_down ^ (turns >= 2)
    columns, across = _resize_taps(left, width, left_right, images.shape[2], size[1])
    rows, down = _resize_taps(top, height, up_down, images.shape[1], size[0])
    x = images.permute(0, 3, 2, 1).to(torch.float32, memory_format=torch.contiguous_format)
    x = _weigh_lines(_weigh_lines(x, columns, across / torch.iinfo(images.dtype).max).transpose(-2, -1), rows, down)
    if settings.quarter_turns and size[0] == size[1]:
        x = torch.where(_per_image(turns[:, None] % 2 == 1), x.transpose(-2, -1), x)
    return x


def _resize_taps(start: Tensor, length: Tensor, flip: Tensor, pixels: int, size: int) -> tuple[Tensor, Tensor]:
    """Return the pixels that make each pixel of a box once resized and flipped, and their antialiased bilinear weights.

    Both are [N, size, taps], for boxes within lines of `pixels` pixels.
    """
    scale = (length / size)[:, None]
    reach = scale.clamp_min(1)
    place = torch.arange(0.5, size, device=start.device)
    center = scale * torch.where(flip[:, None], size - place, place) - 0.5
    taps = torch.arange(math.ceil(2 * max(pixels / size, 1)), device=start.device)
    tap = (center - reach).floor_().add_(1)[..., None] + taps
    weights = ((tap - center[..., None]) / reach[..., None]).abs_().neg_().add_(1).clamp_min_(0)
    pixel = torch.minimum(tap.clamp_min(0), (length - 1)[:, None, None])
    weights.masked_fill_(pixel != tap, 0)
    return (pixel + start[:, None, None]).long(), weights.div_(weights.sum(dim=-1, keepdim=True))


def _weigh_lines(x: Tensor, lines: Tensor, weights: Tensor) -> Tensor:
    """Make each line of N views a weighted sum of a few lines of images: [B, C, L, F] and [N, S, taps] to [N, C, S, F].

    A product of matrices would do the same but mostly multiply by 0.
    """
    count, channels, length, features = x.shape
    size, taps = lines.shape[1:]
    first = torch.arange(0, count * channels * length, length, device=x.device).view(count, channels, 1, 1)
    bags = lines.view(-1, count, 1, size, taps) + first
    weights = weights.reshape(-1, count, 1, size, taps).expand_as(bags).reshape(-1, taps)
    x = F.embedding_bag(bags.view(-1, taps), x.reshape(-1, features), mode="sum", per_sample_weights=weights)
    return x.view(-1, channels, size, features)


def rotate(x: Tensor, degrees: Tensor) -> Tensor:
    """Turn each image counter-clockwise about its center, bilinear, black outside: [N, C, H, W] and [N]."""
    height, width = x.shape[-2:]
    angle = torch.deg2rad(degrees)
    cosine, sine, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    rows = [cosine, -sine * (height / width), zero, sine * (width / height), cosine, zero]
    grid = F.affine_grid(torch.stack(rows, dim=-1).view(-1, 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _recolor_each(x: Tensor, parameters: Parameters, settings: Augmentation) -> Tensor:
    """Jitter each channel as an image of its own, all channels of an image in one order: [N, C, H, W]."""
    if settings.jitter_probability == 0:
        return x
    order = parameters.jitter_order[:, None].expand(-1, x.shape[1], -1)
    (planes,) = jitter(x.flatten(0, 1)[:, None], order.flatten(0, 1), parameters.jitter_factors.flatten(0, 1))
    return planes.view_as(x)


def _recolor(x: Tensor, parameters: Parameters, settings: Augmentation) -> Tensor:
    """Jitter the colors and turn some images gray: [N, C, H, W]."""
    channels = x.unbind(1)
    if settings.jitter_probability > 0:
        channels = jitter(x, parameters.jitter_order, parameters.jitter_factors, shifts_hue=settings.hue > 0)
    if settings.grayscale_probability > 0 and len(channels) == 3:
        luma = _luma(channels, _luma_weights(torch.arange(3, device=x.device)))
        is_gray = _per_image(parameters.grayscale)
        channels = tuple(torch.where(is_gray, luma, channel) for channel in channels)
    return torch.stack(channels, dim=1)


def jitter(x: Tensor, order: Tensor, factors: Tensor, *, shifts_hue: bool = True) -> tuple[Tensor, ...]:
    """Change brightness, contrast, saturation and hue, in each image's own order, and return the channels [N, H, W].

    An image of one channel has neither saturation nor hue.

    Parameters
    ----------
    x
        float [N, C, H, W] in [0, 1].
    order, factors
        int64 [N, k] and float [N, 4], as in `view_parameters.Parameters`.
    shifts_hue
        Whether hue is among the k.
    """
    own = torch.arange(x.shape[1], device=x.device)
    own_luma = _luma_weights(own)
    blends = _blends(order, factors)
    if not (shifts_hue and x.shape[1] == 3):
        channels = x.unbind(1)
        for blend in blends:
            channels = _blend(channels, own_luma, *blend)
        return channels
    # A third of the color circle exchanges channels. Thirds are turned before all else, so that one pass does for both
    # shifts below; until the hue's turn, each channel has the weight in luma of the one that it comes from.
    thirds = torch.round(3 * factors[:, HUE])
    rest = 6 * factors[:, HUE] - 2 * thirds
    origin = (own - thirds.long()[:, None]) % 3
    channels = x[torch.arange(len(x), device=x.device)[:, None], origin].unbind(1)
    origin_luma = _luma_weights(origin)
    hue_turn = (order == HUE).int().argmax(dim=1)
    for turn, blend in enumerate(blends):
        channels = _blend(channels, torch.where(_per_image(turn < hue_turn), origin_luma, own_luma), *blend)
        if turn % 2 == 0:  # one shift serves two turns, as in its hue's own turn an image is not blended
            channels = shift_hue(channels, _per_image(rest.masked_fill(hue_turn // 2 != turn // 2, 0)))
    return channels


def _blends(order: Tensor, factors: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return the factors [N, 1, 1] of the image, its luma and its mean luma for each turn: 1, 0 and 0 for hue.

    An image is blended with black (brightness), its mean luma (contrast) or its luma (saturation).
    """
    factor = factors.gather(1, order).masked_fill(order == HUE, 1)
    to_luma = (1 - factor).masked_fill(order != SATURATION, 0)
    to_mean = (1 - factor).masked_fill(order != CONTRAST, 0)
    columns = (_per_image(values).unbind(1) for values in (factor, to_luma, to_mean))
    return list(zip(*columns, strict=True))


def _blend(
    channels: Sequence[Tensor], luma_weights: Tensor, factor: Tensor, to_luma: Tensor, to_mean: Tensor
) -> tuple[Tensor, ...]:
    luma = _luma(channels, luma_weights)
    other = torch.addcmul(luma.mean(dim=(-2, -1), keepdim=True) * to_mean, luma, to_luma)
    return tuple(torch.addcmul(other, channel, factor).clamp_(0, 1) for channel in channels)


def shift_hue(channels: Sequence[Tensor], sixths: Tensor) -> tuple[Tensor, ...]:
    """Turn the hue of red, green and blue [N, H, W] by up to a sixth of the color circle, -1 to 1 [N, 1, 1].

    The result is that of HSV: each channel moves against the difference of the other two, by as much as this exceeds a
    share of the chroma, and stays between the pixel's least and most.
    """
    red, green, blue = channels
    least = torch.minimum(torch.minimum(red, green), blue)
    most = torch.maximum(torch.maximum(red, green), blue)
    share = (most - least).mul_(1 - sixths.abs())
    low, direction = -share, sixths.sign()
    shifted = []
    for channel, after, before in ((red, green, blue), (green, blue, red), (blue, red, green)):
        difference = after - before
        difference.sub_(difference.clamp(low, share))
        shifted.append(torch.addcmul(channel, difference, direction, value=-1).clamp_(least, most))
    return tuple(shifted)


def blur(x: Tensor, sigma: Tensor, largest_sigma: float) -> Tensor:
    """Blur each image with its own Gaussian, reflecting at the edges; sigma 0 leaves it as it is.

    The kernel reaches two largest sigmas to each side.

    Parameters
    ----------
    x
        float [N, C, H, W].
    sigma
        float [N], in pixels.
    """
    reach = blur_reach(largest_sigma, min(x.shape[-2:]))
    distance = torch.arange(-reach, reach + 1, device=x.device)
    kernel = torch.exp(-0.5 * (distance / sigma.clamp_min(1e-6)[:, None]) ** 2)
    kernel = kernel / kernel.sum(dim=-1, keepdim=True)
    for _ in range(2):  # down the columns, then along the rows
        side = x.shape[-2]
        seen = (torch.arange(side, device=x.device)[:, None] + distance).abs()
        seen = (side - 1) - ((side - 1) - seen).abs()
        x = _weigh_lines(x, seen.expand(len(x), -1, -1), kernel[:, None].expand(-1, side, -1)).transpose(-2, -1)
    return x


def blur_reach(largest_sigma: float, side: int) -> int:
    """Return how many pixels the blur's kernel reaches to each side: two sigmas, short of reflecting twice."""
    return min(math.ceil(2 * largest_sigma), side - 1)


def _luma(channels: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Return the luma [N, H, W] of channels with the weights [C, N or 1, 1, 1]; that of one channel is itself."""
    if len(channels) == 1:
        return channels[0]
    luma = channels[0] * weights[0]
    for channel, weight in zip(channels[1:], weights[1:], strict=True):
        luma.addcmul_(channel, weight)
    return luma


def _luma_weights(channel: Tensor) -> Tensor:
    """Return the weights in luma of channels by number, [C, N, 1, 1] of [N, C] or [C]."""
    red, green, blue = _LUMA
    weights = torch.full_like(channel, red, dtype=torch.float32)
    weights = weights.masked_fill_(channel == 1, green).masked_fill_(channel == 2, blue)
    return _per_image(torch.atleast_2d(weights).T)


def _per_image(values: Tensor) -> Tensor:
    return values[..., None, None]
