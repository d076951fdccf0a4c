"""Each operation equals torchvision's of the same parameters, and every image and view has a draw of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tv
from torch import Tensor
from torch._dynamo.utils import counters
from torch.utils._python_dispatch import TorchDispatchMode

from simclr_steps.methods import random_numbers
from simclr_steps.methods.view_parameters import Parameters, draw
from simclr_steps.methods.views import apply, blur, blur_reach, random_views, rotate
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.reading import check
from tests.benchmarks.counting import Counter
from tests.unit.methods.single_operations import STRENGTHS, only

TOLERANCE = 2 / 255
NEW: dict[str, Any] = {"gamma": 0.5, "noise_std": 0.1, "channel_drop_probability": 0.2, "quarter_turns": True}


def photos(count: int = 6, height: int = 32, width: int = 40, channels: int = 3) -> Tensor:
    """Return smooth random images: uint8 [B, H, W, C]."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, channels, 6, 6, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    return (fine * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def drawn(settings: Augmentation, images: Tensor, views: int = 3) -> Parameters:
    key = random_numbers.keys(5, 7, torch.arange(len(images)), views)
    return draw(settings, key.flatten(), *images.shape[1:])


def floats(images: Tensor, views: int) -> Tensor:
    """Return the images once for each view, float [V·B, C, H, W]."""
    return (images.permute(0, 3, 1, 2).float() / 255).repeat(views, 1, 1, 1)


@pytest.mark.parametrize("size", [16, 32, 48])
@pytest.mark.parametrize("channels", [1, 3])
def test_crop_resize_and_flips_equal_torchvision(size: int, channels: int) -> None:
    images = photos(channels=channels)
    settings = only(crop_scale=(0.1, 1.0), crop_ratio=(0.5, 2.0), horizontal_flip_probability=0.5)
    settings = settings.model_copy(update={"vertical_flip_probability": 0.5})
    parameters = drawn(settings, images)
    views = apply(images, parameters, settings, (size, size))
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


@pytest.mark.parametrize("channels", [1, 3])
def test_rotation_equals_torchvision(channels: int) -> None:
    images = photos(channels=channels)
    degrees = drawn(only(rotation_degrees=60.0), images).rotation
    x = floats(images, 3)
    turned = [
        tv.rotate(image, float(angle), interpolation=tv.InterpolationMode.BILINEAR)
        for image, angle in zip(x, degrees, strict=True)
    ]
    assert (rotate(x, degrees) - torch.stack(turned)).abs().max() < TOLERANCE


OPERATIONS: list[Callable[[Tensor, float], Tensor]] = [
    tv.adjust_brightness,
    tv.adjust_contrast,
    tv.adjust_saturation,
    tv.adjust_hue,
]


@pytest.mark.parametrize("on", [*([name] for name in STRENGTHS), ["contrast", "hue"], list(STRENGTHS)])
@pytest.mark.parametrize("channels", [1, 3])
def test_color_jitter_equals_torchvisions_operations_in_each_images_own_order(on: list[str], channels: int) -> None:
    images = photos(count=12, width=32, channels=channels)
    settings = only(jitter_probability=0.8, **{name: STRENGTHS[name] * (name in on) for name in STRENGTHS})
    parameters = drawn(settings, images)
    expected = []
    for image, order, factors in zip(
        floats(images, 3), parameters.jitter_order, parameters.jitter_factors, strict=True
    ):
        for operation in order.tolist():
            if channels == 3 or operation < 2:  # one channel has neither saturation nor hue
                image = OPERATIONS[operation](image, float(factors[operation]))
        expected.append(image)
    views = apply(images, parameters, settings, (32, 32))
    assert (views - torch.stack(expected)).abs().max() < TOLERANCE
    orders = {tuple(order) for order in parameters.jitter_order.tolist()}
    assert {tuple(sorted(order)) for order in orders} == {tuple(list(STRENGTHS).index(name) for name in on)}
    assert len(orders) >= {1: 1, 2: 2, 4: 11}[len(on)]


@pytest.mark.parametrize("channels", [1, 3])
def test_blur_equals_torchvision(channels: int) -> None:
    images = photos(channels=channels)
    sigmas = drawn(only(blur_probability=0.7), images).blur_sigma
    x = floats(images, 3)
    taps = 2 * blur_reach(2.0, 32) + 1
    expected = [
        tv.gaussian_blur(image, [taps, taps], [float(sigma)] * 2) if sigma > 0 else image
        for image, sigma in zip(x, sigmas, strict=True)
    ]
    assert (blur(x, sigmas, 2.0) - torch.stack(expected)).abs().max() < TOLERANCE
    assert 0 < (sigmas > 0).float().mean() < 1


@pytest.mark.parametrize("channels", [1, 3])
def test_grayscale_and_solarize_equal_torchvision(channels: int) -> None:
    images = photos(width=32, channels=channels)
    settings = only(grayscale_probability=0.5, solarize_probability=0.5, solarize_threshold=0.3)
    parameters = drawn(settings, images)
    views = apply(images, parameters, settings, (32, 32))
    expected = []
    for image, gray, sun in zip(floats(images, 3), parameters.grayscale, parameters.solarize, strict=True):
        image = tv.rgb_to_grayscale(image, num_output_channels=channels) if gray else image
        expected.append(tv.solarize(image, 0.3) if sun else image)
    differ = (views - torch.stack(expected)).abs() > TOLERANCE
    assert differ.float().mean() < 1e-3  # a pixel at the threshold exactly may fall to either side
    assert parameters.grayscale.any() and parameters.solarize.any()


@pytest.mark.parametrize("preset", ["color", "digits", "photos", "all"])
@pytest.mark.parametrize("channels", [1, 3])
def test_views_are_those_of_version_0_1(preset: str, channels: int) -> None:
    then = np.load(Path(__file__).with_name("views_of_0_1_0.npz"))
    content = {
        "preset": "photos",
        "rotation_degrees": 10.0,
        "solarize_probability": 0.5,
        "vertical_flip_probability": 0.5,
    }
    settings = check(Augmentation, content if preset == "all" else {"preset": preset})
    key = random_numbers.keys(3, 2, torch.arange(3), 2)
    views = random_views(torch.from_numpy(then[f"images{channels}"]), key, settings, (12, 10))
    is_alike = (torch.__version__, torch.backends.cpu.get_cpu_capability()) == (str(then["torch"]), str(then["cpu"]))
    expected = torch.from_numpy(then[f"{preset}{channels}"])
    torch.testing.assert_close(views, expected, rtol=0, atol=0 if is_alike else 1e-5)


class HostValues(TorchDispatchMode):
    """Collects operations that bring a value from the host to the device or back, for which a GPU would wait."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name in ("aten::lift_fresh", "aten::scalar_tensor", "aten::_local_scalar_dense", "aten::item"):
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("device", ["cpu", "meta"])  # meta tensors have no values that could be read
def test_the_device_never_waits_for_the_host(device: str) -> None:
    settings = Augmentation(preset="photos", rotation_degrees=10, solarize_probability=0.5, **NEW)
    images, indices = photos(count=4).to(device), torch.arange(4, device=device)
    with HostValues() as values:
        for is_color in (True, False):
            views = random_views(images, random_numbers.keys(0, 0, indices, 2), settings, None, is_color)
    assert views.shape == (2, 4, 3, 32, 40)
    assert values.seen == []


@pytest.mark.parametrize(("preset", "most"), [("color", 100), ("photos", 107), ("digits", 50), ("microscopy", 90)])
def test_operations_move_few_times_the_bytes_of_a_view(preset: str, most: float) -> None:
    channels = {"digits": 1, "microscopy": 5}.get(preset, 3)
    settings = check(Augmentation, {"preset": preset})
    images = photos(count=2, height=224, width=224, channels=channels)
    parameters = drawn(settings, images, views=2)
    with Counter() as counter:
        views = apply(images, parameters, settings, (224, 224))
    assert sum(operation.moved_bytes for operation in counter.operations) / views.nbytes < most


@pytest.mark.slow
def test_views_are_compiled_whole_and_once_for_all_epochs() -> None:
    settings, images, indices = Augmentation(preset="photos", **NEW), photos(count=4, width=32), torch.arange(4)
    torch.compiler.reset()
    counters.clear()
    compiled = torch.compile(random_views, backend="aot_eager", fullgraph=True)
    for epoch in range(3):
        key = random_numbers.keys(0, epoch, indices, 2)
        torch.testing.assert_close(
            compiled(images, key, settings, (20, 20), False), random_views(images, key, settings, (20, 20), False)
        )
    assert counters["stats"]["unique_graphs"] == 1


@pytest.mark.gpu
def test_compiled_views_are_the_plain_ones() -> None:
    settings, images = Augmentation(rotation_degrees=10, blur_probability=0.5), photos(count=256).cuda()
    key = random_numbers.keys(0, 0, torch.arange(256, device="cuda"), 2)
    difference = (torch.compile(random_views)(images, key, settings) - random_views(images, key, settings)).abs()
    assert difference.mean() < 1e-5  # rounding may make a crop one pixel larger, or turn a hue the other way round


def test_every_image_and_view_has_its_own_draw() -> None:
    settings = Augmentation(
        rotation_degrees=20,
        vertical_flip_probability=0.3,
        blur_probability=0.5,
        solarize_probability=0.3,
        **NEW,
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
    images, settings = photos(count=8), Augmentation(preset="photos", rotation_degrees=10, solarize_probability=0.2)
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
