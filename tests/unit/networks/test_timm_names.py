"""Names that timm does not know are told with what was probably meant."""

from __future__ import annotations

import pytest

from simclr_steps.files import canonical_json
from simclr_steps.machine.errors import UserError
from simclr_steps.networks.timm_names import check_timm_name, main


@pytest.mark.parametrize("weights", [True, False])
def test_a_known_network_and_tag_pass_and_a_tag_matters_only_to_weights(weights: bool) -> None:
    check_timm_name("timm:resnet18.a1_in1k", weights=weights)
    check_timm_name("timm:resnet18.mine", weights=False)
    with pytest.raises(UserError, match='has no network "resnet81"; did you mean "timm:resnet'):
        check_timm_name("timm:resnet81.a1_in1k", weights=weights)


def test_the_first_wrong_name_is_told_with_its_key(capsys: pytest.CaptureFixture[str]) -> None:
    main(canonical_json([["a", "timm:resnet18", False], ["b", "timm:resnet18.a1", True], ["c", "timm:x", False]]))
    said = capsys.readouterr().out
    assert said.startswith("b: timm ") and 'no published weights "resnet18.a1"; did you mean "resnet18.a1_in1k"' in said
    main(canonical_json([["a", "timm:resnet18", False]]))
    assert capsys.readouterr().out == ""
