"""The views that a probe is trained on depend on seed, number and image, and are none of those of pretraining."""

from __future__ import annotations

import numpy as np
import torch

from simclr_steps.methods import random_numbers
from simclr_steps.methods.probe_views import views_of
from simclr_steps.methods.views import random_views
from simclr_steps.networks.encoders import load_encoder
from simclr_steps.settings.augmentation import Augmentation
from tests.unit.conftest import WriteEncoder, digits

LIGHT = Augmentation(preset="digits", jitter_probability=0)


def test_each_number_and_seed_has_views_of_its_own_from_epochs_below_those_of_training(
    write_encoder: WriteEncoder,
) -> None:
    architecture = load_encoder(write_encoder()).architecture
    images, rows = torch.from_numpy(np.array(digits(6)[0])), torch.arange(6)
    drawn = []
    for seed, number in ((3, 0), (3, 1), (4, 0)):
        view_of = views_of(LIGHT, architecture, seed)
        assert view_of is not None
        drawn.append(view_of(number)(images, rows))
        expected = random_views(images, random_numbers.keys(seed, -2 - number, rows, 1), LIGHT)[0]
        assert torch.equal(drawn[-1], expected)
        assert torch.allclose(view_of(number)(images[2:], rows[2:]), expected[2:], atol=1e-6)
    assert not torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert views_of(None, architecture, 0) is None
