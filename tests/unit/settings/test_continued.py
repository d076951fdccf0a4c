"""A pretraining takes from the one that it continues what it does not write, and the plan holds both."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.methods.fitting import fitted_to
from simclr_steps.settings.config import read_config
from simclr_steps.settings.plan import Plan, plan
from simclr_steps.settings.pretrain import PretrainSettings


def planned(pretrains: dict[str, Any], *experiments: dict[str, Any]) -> Plan:
    runs = [{"dataset": "digits", "pretrain": "longer"} | experiment for experiment in experiments or ({},)]
    return plan(
        read_config({"datasets": {"digits": {"source": "digits"}}, "pretrains": pretrains, "experiments": runs})
    )


SIMCLR: dict[str, Any] = {
    "epochs": 50,
    "temperature": 0.2,
    "freeze_epochs": 3,
    "augmentation": {"preset": "digits", "hue": 0.2},
    "projection_head": {"hidden_size": 64},
}


def test_all_but_freezing_is_taken_from_the_parent_and_written_keys_override_it() -> None:
    block = {"continue": "simclr", "epochs": 100, "warmup_epochs": 5, "augmentation": {"hue": 0.3}}
    settings = planned({"longer": block, "simclr": SIMCLR}).pretrains["longer"]
    assert (settings.epochs, fitted_to(1_000, settings).epochs_before, settings.warmup_epochs) == (100, 50, 5)
    assert (settings.temperature, settings.projection_head.hidden_size, settings.freeze_epochs) == (0.2, 64, 0)
    assert (settings.augmentation.hue, settings.augmentation.rotation_degrees) == (0.3, 20.0)
    assert settings.parent == PretrainSettings.model_validate(SIMCLR)
    assert json.loads(settings.as_json())["parent"]["temperature"] == 0.2, "a param of the rule tells of a change"


def test_an_experiment_that_names_the_last_of_a_chain_plans_all_of_it() -> None:
    last = {"continue": "longer", "epochs": 7}
    result = planned({"last": last, "longer": {"continue": "simclr"}, "simclr": SIMCLR}, {"pretrain": "last"})
    assert [run.pretrain for run in result.runs] == ["last"]
    assert result.runs[0].continues == ["simclr", "longer"] and result.parents == {"last": "longer", "longer": "simclr"}
    assert list(result.trainings) == [f"digits/{name}/seed0" for name in ("simclr", "longer", "last")]
    assert fitted_to(1_000, result.pretrains["last"]).epochs_before == 100
    assert set(result.demands("digits").pretrains) == {"simclr", "longer", "last"}


def test_a_parent_from_a_grid_is_named_by_its_folder_and_a_grid_may_vary_children_and_parents() -> None:
    grid = {"pretrain": "simclr", "grid": {"temperature": [0.1, 0.5]}}
    longer = {"continue": "simclr-temperature=0.1"}
    result = planned({"simclr": SIMCLR, "longer": longer}, grid, {"grid": {"epochs": [5, 9]}})
    assert result.parents == dict.fromkeys(["longer-epochs=5", "longer-epochs=9"], "simclr-temperature=0.1")
    assert result.pretrains["longer-epochs=5"].temperature == 0.1
    result = planned(
        {"simclr": SIMCLR, "longer": {}}, grid, {"grid": {"continue": ["simclr", "simclr-temperature=0.5"]}}
    )
    assert result.parents["longer-continue=simclr-temperature_0.5"] == "simclr-temperature=0.5"


def test_a_parent_that_equals_a_planned_pretraining_is_trained_once() -> None:
    blocks = {"simclr": SIMCLR, "same": SIMCLR, "longer": {"continue": "same"}}
    assert planned(blocks, {"pretrain": "simclr"}, {}).parents == {"longer": "simclr"}
    assert planned(blocks, {}, {"pretrain": "same"}).parents == {"longer": "same"}


def test_given_weights_are_the_first_parents_affair() -> None:
    blocks = {"simclr": {"init": "published", "weights_path": "a.pth"}, "longer": {"continue": "simclr"}}
    result = planned(blocks)
    child, parent = result.pretrains["longer"], result.pretrains["simclr"]
    assert (child.published_weights, child.own_weights, child.found_weights) == (None, None, None)
    assert parent.published_weights and list(result.own_files) == ["pretrains.simclr.weights_path"]
    assert child.asked_stem == "imagenet" and result.may_vote("longer")
    assert "a.pth" not in child.trained.as_json()


@pytest.mark.parametrize(
    ("blocks", "sentence"),
    [
        ({"longer": {"continue": "longer"}}, 'longer.continue: "longer" which continues "longer": name a pretraining'),
        (
            {"longer": {"continue": "other"}, "other": {"continue": "longer"}},
            'other.continue: "longer" which continues "other" which continues "longer": name a pretraining that does',
        ),
        ({"longer": {"continue": "simcl"}}, 'longer.continue: there is no pretraining "simcl"; did you mean "simclr"?'),
        ({"longer": {}, "unused": {"continue": "simclr-temperature=0.1"}}, "unused.continue: there is no pretraining"),
        ({"longer": {"continue": "simclr", "encoder": "resnet50"}}, 'longer.encoder: must be that of "simclr", from'),
        ({"longer": {"continue": "simclr", "projection_head": {"layers": 3}}}, "longer.projection_head: must be that"),
        ({"longer": {"continue": "simclr", "view_size": 32}}, "longer.view_size: must be that of"),
        ({"longer": {"continue": "simclr", "stem": "imagenet"}}, "longer.stem: must be that of"),
        ({"longer": {"continue": "simclr", "init": "published"}}, "longer.init: must be that of"),
        ({"longer": {"continue": "simclr", "optimizer": "lars"}}, "longer.optimizer: must be that of"),
        (
            {"longer": {"continue": "simclr", "epochs": 0}},
            "longer.epochs: 0 is wrong: it must be a whole number above 0, or auto",
        ),
        ({"longer": {"continue": {"epochs": 3}}}, 'longer.continue: {"epochs": 3} is wrong: it must be a valid string'),
        ({"longer": {"continues": "simclr"}}, 'longer: unknown key "continues"; did you mean "continue"?'),
        ({"longer": {"parent": {}}}, 'longer: unknown key "parent"'),
        (
            {"longer": {"continue": "simclr", "step_epochs": [2], "schedule": "step", "epochs": 2}},
            "longer.epochs: 2 is",
        ),
    ],
)
def test_what_cannot_be_continued_is_one_sentence_that_names_the_key(blocks: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        planned({"simclr": SIMCLR, **blocks})
    assert f"pretrains.{sentence}" in str(error.value)
