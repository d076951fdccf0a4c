"""Batches and epochs fit the number of images where they are `auto`, and are never changed where they are written."""

from __future__ import annotations

import pytest

from simclr_steps.methods.fitting import fitted_to
from simclr_steps.settings.pretrain import PretrainSettings


@pytest.mark.parametrize(
    ("images", "batch_size", "epochs"),
    [
        (2, 2, 500),
        (20, 20, 500),
        (60, 32, 500),
        (194, 32, 167),
        (1_294, 128, 100),
        (1_279, 64, 100),
        (5_120, 512, 100),
        (1_000_000, 512, 100),
    ],
)
def test_small_sets_get_smaller_batches_and_more_epochs(images: int, batch_size: int, epochs: int) -> None:
    fitted = fitted_to(images, PretrainSettings())
    assert (fitted.global_batch_size, fitted.epochs) == (batch_size, epochs)


def test_written_numbers_stay_and_so_do_all_other_settings() -> None:
    settings = PretrainSettings.model_validate(
        {"epochs": 3, "global_batch_size": 256, "temperature": 0.2, "augmentation": {"preset": "digits"}}
    )
    fitted = fitted_to(60, settings)
    assert fitted.model_dump() == settings.model_dump()
    assert fitted.augmentation.model_fields_set == settings.augmentation.model_fields_set
    assert fitted_to(1_280, settings.model_copy(update={"global_batch_size": "auto"})).epochs == 3
    assert fitted_to(60, settings.model_copy(update={"epochs": "auto", "global_batch_size": 4})).epochs == 100
