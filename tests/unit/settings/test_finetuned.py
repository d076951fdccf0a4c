"""What a fine-tuning starts from is planned once for all runs whose networks and seeds are equal."""

from __future__ import annotations

from typing import Any

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.config import read_config
from simclr_steps.settings.finetuned import FinetunedSettings
from simclr_steps.settings.plan import Plan, plan


def planned(pretrains: dict[str, Any], init: str, *seeds: int) -> Plan:
    blocks: dict[str, Any] = {"datasets": {"d": {"source": "digits"}}, "pretrains": pretrains}
    blocks["finetunes"] = {"tuned": {}, "other": {"init": init}}
    runs = [{"dataset": "d", "pretrain": one, "finetunes": ["tuned", "other"], "seeds": [*seeds]} for one in pretrains]
    return plan(read_config({**blocks, "experiments": runs}))


def test_pretrainings_of_one_network_share_a_training_from_scratch_for_each_seed() -> None:
    asked = planned({"a": {}, "b": {"temperature": 0.1}, "c": {"stem": "small"}}, "random", 0, 1)
    shared = [name for name in asked.classifiers if name.startswith("d/compare/")]
    networks = ("random-resnet18", "random-resnet18-small")
    assert sorted(shared) == sorted(f"d/compare/{one}-seed{seed}/finetune/other" for one in networks for seed in (0, 1))
    assert len(asked.classifiers) == 4 + 6
    for run in asked.runs:
        assert run.starts["other"] in run.compared, "it lies beside what its untrained features are worth"
        assert run.classifiers["tuned"] == f"{run.folder}/finetune/tuned"
    given = asked.finetunings["d/compare/random-resnet18-small-seed1/finetune/other"]
    assert given.network is not None and given.network.stem == "small"
    assert given.model_dump(exclude={"network"}) == asked.config.finetunes["other"].model_dump()


def test_published_weights_are_fetched_and_trained_once_whatever_pretrainings_start_from() -> None:
    start = {"init": "published", "weights_path": "net.pth"}
    asked = planned({"a": {}, "b": start, "c": {"init": "own.pth", "stem": "imagenet"}}, "published", 3)
    assert {run.classifiers["other"] for run in asked.runs} == {"d/compare/published-resnet18-seed3/finetune/other"}
    assert {name: one.path for name, one in asked.published.items()} == {"resnet18.IMAGENET1K_V1": "net.pth"}
    begins = asked.finetunings["d/compare/published-resnet18-seed3/finetune/other"].as_pretraining
    assert begins is not None and (begins.init, begins.asked_stem) == ("published", "imagenet")
    assert not planned({"a": {}}, "random", 0).published


@pytest.mark.parametrize(
    ("pretrain", "sentence"),
    [
        ({"encoder": "mine:net"}, "nothing is published of mine:net, the encoder of p: write random or pretrained"),
        ({"stem": "small"}, "published weights have torchvision's own stem, but that of p is small: write stem: auto"),
        ({"encoder": "timm:resnet18"}, "p needs the tag of the weights: write encoder: timm:resnet18.TAG, with one"),
    ],
)
def test_where_nothing_is_published_a_sentence_names_the_way_out(pretrain: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        planned({"p": pretrain}, "published", 0)
    assert str(error.value).startswith(f"finetunes.other.init: {sentence}") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"init": "random"}, "must name the network, as in .encoder: resnet18., since init is random"),
        ({"network": {"encoder": "resnet18"}}, "must be omitted, as the pretrained encoder tells its network"),
    ],
)
def test_by_hand_the_network_is_named_where_no_encoder_is(content: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        FinetunedSettings.model_validate(content)
