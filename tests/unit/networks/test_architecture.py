"""A network's description follows from the settings and the images."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from simclr_steps.networks.architecture import Architecture, default_stem, resolve
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.reading import check
from simclr_steps.settings.sizes import Size
from tests.unit.settings.test_image_format import of

OWN = "tests.own_encoders:without_batch_norm"


def test_own_code_is_part_of_the_architecture() -> None:
    assert len(str(resolve(PretrainSettings(encoder=OWN), ImageFormat.of_8_bits((8, 8), 1)).own_code_hash)) == 16
    assert resolve(PretrainSettings(encoder="timm:test_vit"), ImageFormat.of_8_bits((8, 8), 1)).own_code_hash is None


def test_the_stem_is_that_of_auto() -> None:
    assert (default_stem((64, 200)), default_stem((65, 65))) == ("small", "imagenet")


@pytest.mark.parametrize(
    ("settings", "image_size", "expected"),
    [
        ({}, (64, 200), ("small", (64, 200), None)),
        ({}, (66, 65), ("imagenet", (66, 65), None)),
        ({"stem": "imagenet"}, (32, 32), ("imagenet", (32, 32), None)),
        ({"stem": "small"}, (224, 224), ("small", (224, 224), None)),
        ({"view_size": 32}, (224, 100), ("small", (32, 32), (224, 100))),
        ({"view_size": [32, 80]}, (224, 100), ("small", (32, 80), (224, 100))),
        ({"encoder": "timm:test_vit"}, (32, 32), (None, (32, 32), None)),
    ],
)
def test_stem_follows_the_size_that_the_network_reads(
    settings: dict[str, object], image_size: Size, expected: tuple[str | None, Size, Size | None]
) -> None:
    found = resolve(check(PretrainSettings, settings), ImageFormat.of_8_bits(image_size, 3))
    assert (found.stem, found.image_size, found.packed_size) == expected


def test_description_is_read_again_from_its_json_and_from_no_other() -> None:
    written = resolve(PretrainSettings(), ImageFormat.of_8_bits((32, 32), 3)).model_dump_json()
    assert Architecture.model_validate_json(written) == resolve(PretrainSettings(), ImageFormat.of_8_bits((32, 32), 3))
    with pytest.raises(ValidationError, match="depth"):
        Architecture.model_validate_json(written.replace('"channels"', '"depth":1,"channels"'))


def test_a_size_stored_as_one_number_is_a_square() -> None:
    new = resolve(check(PretrainSettings, {"view_size": 32}), ImageFormat.of_8_bits((48, 48), 3))
    old = new.model_dump(mode="json") | {"image_size": 32, "packed_size": 48}
    assert Architecture.model_validate(old) == new
    assert new.model_dump(mode="json")["image_size"] == [32, 32]


def test_the_format_of_the_images_is_stored_and_was_8_bits_where_none_is() -> None:
    form = of(5, bits=16, dtype="uint16", channel_names=["DNA", "RNA", "ER", "AGP", "Mito"])
    new = resolve(check(PretrainSettings, {"view_size": 32}), form)
    assert Architecture.model_validate_json(new.model_dump_json()).trained_on == form
    old = {name: value for name, value in new.model_dump(mode="json").items() if name != "image_format"}
    assert Architecture.model_validate(old).trained_on == ImageFormat.of_8_bits((6, 5), 5)


def test_torch_is_not_needed_to_read_a_description() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from simclr_steps.networks.architecture import resolve\n"
        "from simclr_steps.settings.image_format import ImageFormat\n"
        "from simclr_steps.settings.pretrain import PretrainSettings\n"
        "print(resolve(PretrainSettings(), ImageFormat.of_8_bits((32, 32), 3)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "resnet18 with the small stem\n"
