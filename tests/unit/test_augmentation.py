"""Each operation equals torchvision's of the same parameters, and every image and view has a draw of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
import torchvision.transforms.v2.functional as tv
from torch import Tensor

from simclr_steps import augmentation, random_numbers
from simclr_steps.augmentation import Parameters, random_views
from simclr_steps.settings import Augmentation

TOLERANCE = 2 / 255


def photos(count: int = 6, height: int = 32, width: int = 40, channels: int = 3) -> Tensor:
    """Return smooth random images: uint8 [B, H, W, C]."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, channels, 6, 6, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    return (fine * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def drawn(settings: Augmentation, images: Tensor, views: int = 3) -> Parameters:
    key = random_numbers.keys(5, 7, torch.arange(len(images)), views)
    return augmentation.draw(settings, key.flatten(), *images.shape[1:3])


def floats(images: Tensor, views: int) -> Tensor:
    """Return the images once for each view, float [V·B, C, H, W]."""
    return (images.permute(0, 3, 1, 2).float() / 255).repeat(views, 1, 1, 1)


def only(**settings: object) -> Augmentation:
    """Return settings that do nothing but what is asked for."""
    nothing: dict[str, object] = {
        "crop_scale": (1.0, 1.0),
        "crop_ratio": (1.0, 1.0),
        "horizontal_flip_probability": 0.0,
        "jitter_probability": 0.0,
        "grayscale_probability": 0.0,
    }
    return Augmentation.model_validate(nothing | settings)


@pytest.mark.parametrize("size", [16, 32, 48])
@pytest.mark.parametrize("channels", [1, 3])
def test_crop_resize_and_flips_equal_torchvision(size: int, channels: int) -> None:
    images = photos(channels=channels)
    settings = only(crop_scale=(0.1, 1.0), crop_ratio=(0.5, 2.0), horizontal_flip_probability=0.5)
    settings = settings.model_copy(update={"vertical_flip_probability": 0.5})
    parameters = drawn(settings, images)
    views = augmentation.apply(images, parameters, settings, (size, size))
    expected = []
    for image, box, left_right, up_down in zip(
        floats(images, 3), parameters.crop, parameters.flip_horizontal, parameters.flip_vertical, strict=True
    ):
        top, left, height, width = (int(value) for value in box)
        view = tv.resized_crop(image, top, left, height, width, [size, size], antialias=True)
        view = tv.horizontal_flip(view) if left_right else view
        expected.append(tv.vertical_flip(view) if up_down else view)
    assert (views - torch.stack(expected)).abs().max() < TOLERANCE
    assert parameters.flip_horizontal.any() and not parameters.flip_horizontal.all()


def test_rotation_equals_torchvision() -> None:
    images = photos()
    degrees = drawn(only(rotation_degrees=60.0), images).rotation
    x = floats(images, 3)
    turned = [
        tv.rotate(image, float(angle), interpolation=tv.InterpolationMode.BILINEAR)
        for image, angle in zip(x, degrees, strict=True)
    ]
    assert (augmentation.rotate(x, degrees) - torch.stack(turned)).abs().max() < TOLERANCE


OPERATIONS: list[Callable[[Tensor, float], Tensor]] = [
    tv.adjust_brightness,
    tv.adjust_contrast,
    tv.adjust_saturation,
    tv.adjust_hue,
]


def test_colour_jitter_equals_torchvisions_operations_in_each_images_own_order() -> None:
    images = photos(count=12)
    settings = only(jitter_probability=0.8, brightness=0.8, contrast=0.8, saturation=0.8, hue=0.5)
    parameters = drawn(settings, images)
    x = floats(images, 3)
    expected = []
    for image, order, factors in zip(x, parameters.jitter_order, parameters.jitter_factors, strict=True):
        for operation in order.tolist():
            image = OPERATIONS[operation](image, float(factors[operation]))
        expected.append(image)
    ours = augmentation.jitter(x, parameters.jitter_order, parameters.jitter_factors)
    assert (ours - torch.stack(expected)).abs().max() < TOLERANCE
    assert len({tuple(order.tolist()) for order in parameters.jitter_order}) > 10


def test_colour_jitter_of_one_channel_is_brightness_and_contrast() -> None:
    images = photos(channels=1)
    parameters = drawn(only(jitter_probability=1.0), images)
    x = floats(images, 3)
    expected = []
    for image, order, factors in zip(x, parameters.jitter_order, parameters.jitter_factors, strict=True):
        for operation in order.tolist():
            image = OPERATIONS[operation](image, float(factors[operation])) if operation < 2 else image
        expected.append(image)
    ours = augmentation.jitter(x, parameters.jitter_order, parameters.jitter_factors)
    assert (ours - torch.stack(expected)).abs().max() < TOLERANCE


def test_blur_equals_torchvision() -> None:
    images = photos()
    sigmas = drawn(only(blur_probability=0.7), images).blur_sigma
    x = floats(images, 3)
    taps = 2 * augmentation.blur_reach(2.0, 32) + 1
    expected = [
        tv.gaussian_blur(image, [taps, taps], [float(sigma)] * 2) if sigma > 0 else image
        for image, sigma in zip(x, sigmas, strict=True)
    ]
    assert (augmentation.blur(x, sigmas, 2.0) - torch.stack(expected)).abs().max() < TOLERANCE
    assert 0 < (sigmas > 0).float().mean() < 1


def test_grayscale_and_solarise_equal_torchvision() -> None:
    images = photos(width=32)
    settings = only(grayscale_probability=0.5, solarise_probability=0.5)
    parameters = drawn(settings, images)
    views = augmentation.apply(images, parameters, settings, (32, 32))
    expected = []
    for image, gray, sun in zip(floats(images, 3), parameters.grayscale, parameters.solarise, strict=True):
        image = tv.rgb_to_grayscale(image, num_output_channels=3) if gray else image
        expected.append(tv.solarize(image, 0.5) if sun else image)
    differ = (views - torch.stack(expected)).abs() > TOLERANCE
    assert differ.float().mean() < 1e-3  # a pixel at one half exactly may fall to either side
    assert parameters.grayscale.any() and parameters.solarise.any()


def test_crops_are_distributed_as_torchvisions_random_resized_crop() -> None:
    settings = only(crop_scale=(0.2, 1.0), crop_ratio=(3 / 4, 4 / 3))
    key = random_numbers.keys(0, 0, torch.arange(4000), 1).flatten()
    ours = augmentation.draw(settings, key, 32, 32).crop
    torch.manual_seed(0)
    from torchvision.transforms import RandomResizedCrop

    image = torch.zeros(3, 32, 32)
    theirs = torch.tensor(
        [RandomResizedCrop.get_params(image, [0.2, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)], dtype=torch.float32
    )
    assert torch.allclose(ours.mean(dim=0), theirs.mean(dim=0), atol=0.4)
    assert torch.allclose(ours.std(dim=0), theirs.std(dim=0), atol=0.4)
    assert (ours[:, 0] + ours[:, 2] <= 32).all() and (ours[:, 1] + ours[:, 3] <= 32).all()


def test_every_image_and_view_has_its_own_draw() -> None:
    settings = Augmentation(
        rotation_degrees=20, vertical_flip_probability=0.3, blur_probability=0.5, solarise_probability=0.3
    )
    parameters = drawn(settings, photos(count=64), views=2)
    for field in dataclasses.fields(parameters):
        values = getattr(parameters, field.name).reshape(128, -1)
        assert len(values.unique(dim=0)) > 1, f"{field.name} was drawn once for the whole batch"
    one_image_eight_times = photos(count=1).repeat(8, 1, 1, 1)
    views = random_views(one_image_eight_times, random_numbers.keys(0, 0, torch.arange(8), 2), settings)
    views = views.flatten(0, 1).flatten(1)
    distances = torch.cdist(views, views) + torch.eye(16) * 1e9
    assert distances.min() > 0.1


def test_views_are_the_same_however_the_batch_is_split() -> None:
    images, settings = photos(count=8), Augmentation(rotation_degrees=10, blur_probability=0.5)
    indices = torch.arange(100, 108)

    def views(rows: Tensor) -> Tensor:
        return random_views(images[rows], random_numbers.keys(1, 2, indices[rows], 2), settings)

    whole = views(torch.arange(8))
    odd, even = views(torch.tensor([7, 5, 3, 1])), views(torch.tensor([0, 2, 4, 6]))
    assert torch.allclose(whole[:, [7, 5, 3, 1]], odd, atol=1e-6)
    assert torch.allclose(whole[:, [0, 2, 4, 6]], even, atol=1e-6)


def test_views_change_with_seed_epoch_image_and_view() -> None:
    def first_numbers(seed: int, epoch: int, image: int, view: int) -> tuple[float, ...]:
        key = random_numbers.keys(seed, epoch, torch.tensor([image]), 4)[view]
        return tuple(random_numbers.uniform(key, 3).flatten().tolist())

    draws = {first_numbers(*combination) for combination in torch.cartesian_prod(*[torch.arange(4)] * 4).tolist()}
    assert len(draws) == 4**4
