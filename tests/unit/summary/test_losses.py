"""Losses less that of chance are those that a network has to which all images look alike."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch

from simclr_steps.methods.loss import nt_xent
from simclr_steps.summary.losses import beside_chance


@pytest.mark.parametrize("views", [2, 3])
def test_a_network_to_which_all_images_look_alike_has_a_loss_of_zero(views: int) -> None:
    def alike(images: int) -> float:
        return float(nt_xent(torch.ones(views, images, 4), 0.5))

    parts = [alike(100), *[alike(99)] * 2]  # of 298 images in batches of at most 128, as the hold-out is judged
    of_hold_out = (100 * parts[0] + 2 * 99 * parts[1]) / 298
    history = pd.DataFrame({"epoch": [1], "loss": alike(128), "validate_loss": of_hold_out})
    told = beside_chance(history.assign(views=views, batch=128, trained_on=8192), hold_out=298)
    assert told["loss_beside_chance"].tolist() == pytest.approx([0], abs=1e-5)
    assert told["validate_loss_beside_chance"].tolist() == pytest.approx([0], abs=1e-5)


def test_a_hold_out_is_judged_in_part_while_a_training_runs() -> None:
    history = pd.DataFrame({"epoch": [1], "loss": 3.0, "validate_loss": 3.0, "views": 2, "batch": 512})
    told = beside_chance(history.assign(trained_on=5120), hold_out=10_000)
    assert told["validate_loss_beside_chance"][0] == pytest.approx(3 - math.log(2 * 512 - 1))
    few = beside_chance(history.assign(trained_on=512), hold_out=10_000)
    assert few["validate_loss_beside_chance"][0] == pytest.approx(3 - math.log(2 * 256 - 1))


def test_without_batches_or_a_hold_out_nothing_is_made_up() -> None:
    history = pd.DataFrame({"epoch": [1, 2], "loss": 3.0})
    assert beside_chance(history, 100).equals(history)
    part = history.assign(views=2, batch=[8, math.nan], trained_on=80)
    assert "loss_beside_chance" not in beside_chance(part, 100)
    whole = history.assign(views=2, batch=8, trained_on=80, validate_loss=math.nan)
    assert beside_chance(whole, 0)["validate_loss_beside_chance"].isna().all()
