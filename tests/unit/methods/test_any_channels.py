"""Channels that are no colors, and the keys for any channels, are as torchvision or NumPy have them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tv

from simclr_steps.methods import random_numbers
from simclr_steps.methods.view_parameters import draw
from simclr_steps.methods.views import apply, random_views
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.sizes import Size
from tests.unit.methods.single_operations import STRENGTHS, only
from tests.unit.methods.test_random_numbers import splitmix64
from tests.unit.methods.test_views import NEW, OPERATIONS, TOLERANCE, drawn, floats, photos


@pytest.mark.parametrize("channels", [2, 3, 5])
def test_channels_that_are_no_colors_are_jittered_each_by_itself_as_torchvision_jitters_a_gray_image(
    channels: int,
) -> None:
    images = photos(count=8, width=32, channels=channels)
    settings = only(jitter_probability=0.8, grayscale_probability=0.5, gamma=0.6, **STRENGTHS)
    key = random_numbers.keys(5, 7, torch.arange(8), 3).flatten()
    parameters = draw(settings, key, 32, 32, channels, is_color=False)
    expected = torch.empty(24, channels, 32, 32)
    for view, image in enumerate(floats(images, 3)):
        for channel, plane in enumerate(image):
            plane = tv.adjust_gamma(plane[None], float(parameters.gamma[view, channel]))
            for operation in parameters.jitter_order[view].tolist():
                plane = OPERATIONS[operation](plane, float(parameters.jitter_factors[view, channel, operation]))
            expected[view, channel] = plane[0]
    views = apply(images, parameters, settings, (32, 32), is_color=False)
    assert (views - expected).abs().max() < TOLERANCE
    assert {tuple(order) for order in parameters.jitter_order.tolist()} == {(0, 1), (1, 0)}
    jittered = (parameters.gamma != 1).any(dim=1)
    assert (parameters.jitter_factors[jittered, 0] != parameters.jitter_factors[jittered, 1]).any(dim=1).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_gamma_of_a_color_or_gray_image_is_torchvisions_with_one_exponent(channels: int) -> None:
    images = photos(width=32, channels=channels)
    settings = only(jitter_probability=0.7, gamma=1.0, **dict.fromkeys(STRENGTHS, 0))
    parameters = drawn(settings, images)
    expected = [
        tv.adjust_gamma(image, float(gamma)) for image, gamma in zip(floats(images, 3), parameters.gamma, strict=True)
    ]
    views = apply(images, parameters, settings, (32, 32))
    assert (views - torch.stack(expected)).abs().max() < TOLERANCE
    assert (parameters.gamma != 1).any() and (parameters.gamma == 1).any()


@pytest.mark.parametrize("size", [(24, 24), (24, 16)])
def test_quarter_turns_are_numpys_after_the_flips_and_half_turns_where_views_are_not_square(size: Size) -> None:
    images, settings = photos(channels=2), only(quarter_turns=True, vertical_flip_probability=0.5)
    plain = settings.model_copy(update={"quarter_turns": False})
    parameters = drawn(settings, images)
    straight = apply(images, parameters, plain, size)
    turns = parameters.quarter_turns if size[0] == size[1] else parameters.quarter_turns // 2 * 2
    expected = [np.rot90(view, int(k), axes=(1, 2)) for view, k in zip(straight.numpy(), turns, strict=True)]
    torch.testing.assert_close(apply(images, parameters, settings, size), torch.from_numpy(np.stack(expected)))
    assert set(parameters.quarter_turns.tolist()) == {0, 1, 2, 3}


def test_noise_is_numpys_box_muller_transform_of_each_pixels_own_numbers() -> None:
    images, settings = photos(count=2, height=5, width=5, channels=3), only(noise_std=0.3)
    parameters = drawn(settings, images)
    for view, image, key in zip(
        apply(images, parameters, settings, (5, 5)), floats(images, 3), parameters.noise_key, strict=True
    ):
        bits = [splitmix64(int(key) + number * 0x9E3779B97F4A7C15) for number in range(1, 39)]
        radius = np.sqrt(-2 * np.log([((one >> 40) + 1) / 2**24 for one in bits]))
        angle = 2 * np.pi * np.array([one % 2**24 for one in bits]) / 2**24
        noise = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:75].reshape(3, 5, 5)
        np.testing.assert_allclose(view, np.clip(image.numpy() + 0.3 * noise, 0, 1), atol=1e-5)


def test_dropped_channels_are_black_and_the_others_as_they_were() -> None:
    images, settings = photos(count=20, width=32, channels=4), only(channel_drop_probability=0.6)
    parameters = drawn(settings, images, views=1)
    views = apply(images, parameters, settings, (32, 32), is_color=False).numpy()
    expected = np.where(parameters.dropped.numpy()[:, :, None, None], 0, floats(images, 1).numpy())
    np.testing.assert_allclose(views, expected, atol=1e-6)
    assert parameters.dropped.any()


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_views_of_16_bits_are_those_of_the_same_image_in_8_bits(channels: int) -> None:
    images, key = photos(channels=channels), random_numbers.keys(0, 0, torch.arange(6), 2)
    deep = (images.to(torch.int32) * 257).to(torch.uint16)  # 255 · 257 = 65,535
    settings = Augmentation(preset="photos", solarize_probability=0.2, **NEW)
    shallow, deep_views = (random_views(kind, key, settings, (24, 24)) for kind in (images, deep))
    differ = (shallow - deep_views).abs() > 1e-5
    assert differ.float().mean() < 1e-3  # a pixel at the threshold of inversion may fall to either side
    assert deep_views.dtype == torch.float32 and deep_views.shape == (2, 6, channels, 24, 24)


def test_crops_of_16_bits_keep_what_8_bits_cannot_hold() -> None:
    values = np.random.default_rng(0).integers(30_000, 30_100, (4, 32, 32, 2)).astype(np.uint16)
    images, settings = torch.from_numpy(values), only(crop_scale=(0.3, 0.9))
    parameters = drawn(settings, images, views=1)
    plain = torch.from_numpy(values.astype(np.float64)).permute(0, 3, 1, 2) / 65_535
    expected = [
        tv.resized_crop(image, *(int(value) for value in box), [16, 16], antialias=True)
        for image, box in zip(plain, parameters.crop, strict=True)
    ]
    difference = (apply(images, parameters, settings, (16, 16)) - torch.stack(expected)).abs().max()
    assert difference < 0.2 / 65_535
