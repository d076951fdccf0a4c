"""What torchvision and timm publish is known by name, address and digits."""

from __future__ import annotations

import pytest
import torchvision

from simclr_steps.machine.errors import UserError
from simclr_steps.networks.published import input_statistics, published
from simclr_steps.settings.network import PUBLISHED


@pytest.mark.parametrize("encoder", PUBLISHED)
def test_torchvisions_weights_have_digits_and_the_mean_of_torchvision(encoder: str) -> None:
    weights = torchvision.models.get_model_weights(encoder)[PUBLISHED[encoder]]
    known = published(encoder)
    assert known.address == weights.url and f"-{known.digits}.pth" in weights.url and len(known.digits) == 8
    mean, std = input_statistics(encoder) or ((), ())
    assert (list(mean), list(std)) == (weights.transforms().mean, weights.transforms().std)


def test_timms_weights_are_those_of_the_tag() -> None:
    known = published("timm:tf_efficientnet_lite0.in1k")
    assert known.address == "https://huggingface.co/timm/tf_efficientnet_lite0.in1k/resolve/main/model.safetensors"
    assert (known.digits, known.license) == ("", "apache-2.0")
    assert input_statistics("timm:tf_efficientnet_lite0.in1k") == ((0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    ("encoder", "advice"),
    [
        ("timm:resnet18.a1_in1", 'did you mean "resnet18.a1_in1k"'),
        ("timm:tf_efficientnet_lite0.other", r'did you mean "tf_efficientnet_lite0\.in1k"'),
        ("timm:coatnet_0_224.in1k", "write init: random, or the path"),
    ],
)
def test_what_is_not_published_is_told(encoder: str, advice: str) -> None:
    with pytest.raises(UserError, match=f'^encoder: timm .* has no published weights "{encoder[5:]}"; {advice}'):
        published(encoder)
