"""Galleries get only those pretraining settings that determine their views, so no other setting redraws them."""

from __future__ import annotations

from simclr_steps.settings.galleries import GallerySettings
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.reading import check


def test_views_of_a_gallery_are_those_of_its_pretraining() -> None:
    block = check(PretrainSettings, {"augmentation": {"preset": "digits", "hue": 0.3}, "view_size": 12})
    told = block.model_dump(mode="json", include=set(GallerySettings.model_fields) - {"display"})
    assert set(told) == {"augmentation", "view_size"}
    gallery = check(GallerySettings, told)
    assert gallery.augmentation.model_dump() == block.augmentation.model_dump()
    assert gallery.view_size == 12
    assert GallerySettings().model_dump(exclude={"display"}) == PretrainSettings().model_dump(include=set(told))
