from __future__ import annotations

from tests.unit.settings.test_plan import planned


def test_grid_makes_one_pretraining_for_each_combination() -> None:
    result = planned({"grid": {"temperature": [0.1, 0.5], "augmentation.hue": [0.0, 0.1, 0.2]}})
    assert len(result.runs) == len(result.pretrains) == 6
    name = "simclr-augmentation.hue=0.2-temperature=0.1"
    assert result.pretrains[name].temperature == 0.1
    assert result.pretrains[name].augmentation.hue == 0.2
    assert result.pretrains[name].epochs == 3


def test_grid_over_the_preset_keeps_the_keys_written_beside_it() -> None:
    pretrains = {"simclr": {"augmentation": {"preset": "digits", "hue": 0.3}}}
    result = planned({"grid": {"augmentation.preset": ["color", "photos", "digits"]}}, {}, pretrains=pretrains)
    augmentations = {name: settings.augmentation for name, settings in result.pretrains.items()}
    assert set(augmentations) == {f"simclr-augmentation.preset={name}" for name in ("color", "photos", "digits")}
    assert {augmentation.hue for augmentation in augmentations.values()} == {0.3}
    photos = augmentations["simclr-augmentation.preset=photos"]
    assert (photos.blur_probability, photos.crop_scale, photos.rotation_degrees) == (0.5, (0.08, 1.0), 0.0)


def test_order_of_a_grids_keys_changes_no_name() -> None:
    grid = {"temperature": [0.1, 0.5], "augmentation.hue": [0.0, 0.1]}
    assert planned({"grid": grid}).pretrains == planned({"grid": dict(reversed(grid.items()))}).pretrains


def test_grid_values_become_names_of_folders() -> None:
    result = planned({"grid": {"augmentation.crop_scale": [[0.2, 1.0]], "encoder": ["resnet18"]}})
    assert set(result.pretrains) == {"simclr-augmentation.crop_scale=0.2_1.0-encoder=resnet18"}
