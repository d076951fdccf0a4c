"""Parameters of views are drawn from their whole range, as often as configured, and independently for each view."""

from __future__ import annotations

import pytest
import torch

from simclr_steps.methods import random_numbers
from simclr_steps.methods.view_parameters import draw
from simclr_steps.settings.augmentation import Augmentation
from tests.unit.methods.single_operations import STRENGTHS, only


def test_factors_are_drawn_from_the_whole_range_and_jitter_is_left_out_as_often_as_asked() -> None:
    settings = only(jitter_probability=0.7, **STRENGTHS)
    parameters = draw(settings, random_numbers.keys(0, 0, torch.arange(8000), 1).flatten(), 32, 32)
    factors = parameters.jitter_factors - torch.tensor([1.0, 1.0, 1.0, 0.0])
    jittered = (factors != 0).any(dim=1)
    assert jittered.float().mean() == pytest.approx(0.7, abs=0.02)
    strengths = torch.tensor(list(STRENGTHS.values()))
    shares = (factors[jittered] / strengths + 1) / 2
    assert (shares >= 0).all() and (shares <= 1).all()
    for share in shares.T:
        assert torch.allclose(share.quantile(torch.arange(0.1, 1, 0.1)), torch.arange(0.1, 1, 0.1), atol=0.03)


def test_strengths_above_one_draw_from_zero_to_one_more_as_torchvision_does() -> None:
    settings = only(jitter_probability=1.0, brightness=1.5, contrast=3.0, saturation=1.0)
    factors = draw(settings, random_numbers.keys(0, 0, torch.arange(8000), 1).flatten(), 32, 32).jitter_factors
    for factor, largest in zip(factors.T[:3], (2.5, 4.0, 2.0), strict=True):
        shares = factor / largest
        assert (factor > 0).float().mean() > 0.999 and (shares <= 1).all()
        assert torch.allclose(shares.quantile(torch.arange(0.1, 1, 0.1)), torch.arange(0.1, 1, 0.1), atol=0.03)


def test_gamma_is_as_often_a_power_as_its_inverse() -> None:
    settings = only(jitter_probability=1.0, gamma=1.0)
    parameters = draw(settings, random_numbers.keys(0, 0, torch.arange(8000), 1).flatten(), 32, 32, 4, is_color=False)
    assert parameters.gamma.shape == (8000, 4)
    shares = (torch.log2(parameters.gamma) + 1) / 2
    assert shares.min() >= 0 and shares.max() <= 1
    for share in shares.T:
        assert torch.allclose(share.quantile(torch.arange(0.1, 1, 0.1)), torch.arange(0.1, 1, 0.1), atol=0.03)
    assert torch.corrcoef(parameters.gamma.T).sub(torch.eye(4)).abs().max() < 0.05


@pytest.mark.parametrize(("channels", "probability"), [(1, 1.0), (2, 0.5), (5, 0.3), (5, 1.0)])
def test_channels_are_dropped_as_often_as_asked_and_one_remains(channels: int, probability: float) -> None:
    key = random_numbers.keys(0, 0, torch.arange(8000), 1).flatten()
    dropped = draw(only(channel_drop_probability=probability), key, 32, 32, channels).dropped
    assert not dropped.all(dim=1).any()
    spared = probability**channels / channels  # all would be dropped, and one of them stays
    for share in dropped.float().mean(dim=0):
        assert share == pytest.approx(probability - spared, abs=0.02)


def test_turns_are_equally_likely() -> None:
    key = random_numbers.keys(0, 0, torch.arange(8000), 1).flatten()
    counts = draw(only(quarter_turns=True), key, 32, 32).quarter_turns.bincount()
    assert counts.tolist() == pytest.approx([2000] * 4, rel=0.06)


@pytest.mark.parametrize("ratio", [100.0, 0.01])
def test_a_crop_of_any_ratio_holds_a_pixel(ratio: float) -> None:
    settings = only(crop_scale=(0.2, 1.0), crop_ratio=(ratio, ratio))
    crop = draw(settings, random_numbers.keys(0, 0, torch.arange(100), 1).flatten(), 8, 8).crop
    assert (crop[:, 2:] >= 1).all() and (crop[:, :2] + crop[:, 2:] <= 8).all()


def test_crops_are_distributed_as_torchvisions_random_resized_crop() -> None:
    settings = only(crop_scale=(0.2, 1.0), crop_ratio=(3 / 4, 4 / 3))
    key = random_numbers.keys(0, 0, torch.arange(4000), 1).flatten()
    ours = draw(settings, key, 32, 32).crop
    torch.manual_seed(0)
    from torchvision.transforms import RandomResizedCrop

    image = torch.zeros(3, 32, 32)
    theirs = torch.tensor(
        [RandomResizedCrop.get_params(image, [0.2, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)], dtype=torch.float32
    )
    assert torch.allclose(ours.mean(dim=0), theirs.mean(dim=0), atol=0.4)
    assert torch.allclose(ours.std(dim=0), theirs.std(dim=0), atol=0.4)
    assert (ours[:, 0] + ours[:, 2] <= 32).all() and (ours[:, 1] + ours[:, 3] <= 32).all()


def test_each_operation_is_made_as_often_as_asked() -> None:
    settings = Augmentation(
        crop_probability=0.6,
        horizontal_flip_probability=0.4,
        vertical_flip_probability=0.3,
        rotation_probability=0.7,
        rotation_degrees=30,
        grayscale_probability=0.2,
        blur_probability=0.8,
        solarize_probability=0.1,
    )
    draws = draw(settings, random_numbers.keys(0, 0, torch.arange(8000), 1).flatten(), 32, 32)
    whole_image = (draws.crop == torch.tensor([0.0, 0.0, 32.0, 32.0])).all(dim=1)
    shares = {
        "crop": (~whole_image, 0.6),
        "horizontal flip": (draws.flip_horizontal, 0.4),
        "vertical flip": (draws.flip_vertical, 0.3),
        "rotation": (draws.rotation != 0, 0.7),
        "grayscale": (draws.grayscale, 0.2),
        "blur": (draws.blur_sigma > 0, 0.8),
        "solarize": (draws.solarize, 0.1),
    }
    for name, (made, expected) in shares.items():
        assert made.float().mean() == pytest.approx(expected, abs=0.02), name
    turned, blurred = draws.rotation[draws.rotation != 0], draws.blur_sigma[draws.blur_sigma > 0]
    assert turned.min() < -29 and turned.max() < 30 < turned.max() + 1 and turned.mean().abs() < 1
    assert 0.1 <= blurred.min() < 0.2 and 1.9 < blurred.max() <= 2.0 and abs(blurred.mean() - 1.05) < 0.03


def test_draws_of_a_batchs_images_and_views_are_unrelated() -> None:
    settings = Augmentation(crop_ratio=(1.0, 1.0), rotation_degrees=20, blur_probability=1.0, jitter_probability=1.0)
    keys = random_numbers.keys(3, 1, torch.arange(4000), 2).flatten()
    parameters = draw(settings, keys, 64, 64)
    columns = [parameters.crop[:, :3], parameters.jitter_factors]
    columns += [parameters.rotation[:, None], parameters.blur_sigma[:, None]]
    numbers = torch.cat(columns, dim=1).unflatten(0, (2, 4000))
    between_views = torch.corrcoef(torch.cat([numbers[0], numbers[1]], dim=1).T)[:9, 9:]
    between_images = torch.corrcoef(torch.cat([numbers[0, :-1], numbers[0, 1:]], dim=1).T)[:9, 9:]
    assert between_views.abs().max() < 0.06 and between_images.abs().max() < 0.06
    assert (numbers.std(dim=(0, 1)) > 0.02).all()
