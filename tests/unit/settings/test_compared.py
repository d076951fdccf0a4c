"""Runs share what they are compared with exactly where their networks and seeds are equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.compared import OffTheShelf, off_the_shelf, random_network, starting_network
from simclr_steps.settings.config import read_config
from simclr_steps.settings.plan import plan
from simclr_steps.settings.pretrain import PretrainSettings

FILE = {"encoder": "timm:test_vit", "weights": "own.safetensors"}


def name(seed: int = 0, **keys: Any) -> str:
    return random_network(PretrainSettings.model_validate(keys), seed).name


def test_what_changes_no_random_weight_of_the_backbone_is_shared() -> None:
    assert name(temperature=0.1, epochs=3, projection_head={"output_size": 8}) == name() == "random-resnet18-seed0"


def test_each_other_network_has_a_name_of_its_own() -> None:
    keys: list[dict[str, Any]] = [
        {"encoder": "resnet34"},
        {"stem": "small"},
        {"view_size": 32},
        {"view_size": [32, 16]},
    ]
    own = [{"encoder": "mine_own:net"}, {"encoder": "mine:own_net"}]
    assert len({name(), name(seed=1), *(name(**key) for key in [*keys, *own])}) == 8


def test_given_weights_are_compared_with_random_ones_below_the_same_stem() -> None:
    assert name(init="resnet18.pth") == name(stem="imagenet") != name()
    assert name(init="resnet18.pth", stem="small") == name(stem="small")
    assert name(init="vit.safetensors", encoder="timm:test_vit") == name(encoder="timm:test_vit")


def test_given_weights_are_compared_with_themselves_below_the_names_of_network_and_file() -> None:
    def start(**keys: Any) -> str:
        return starting_network(PretrainSettings.model_validate(keys)).name

    published = {"encoder": "resnet50", "init": "published", "weights_path": "net.pth"}
    assert start(**published, temperature=0.1) == "start-published-resnet50-imagenet"
    files = [start(init=f"{folder}/encoder.safetensors", view_size=32) for folder in ("a", "b")]
    assert all(name.startswith("start-encoder-") and name.endswith("-resnet18-imagenet-32") for name in files)
    assert files[0] != files[1]
    assert start(init=f"{'网' * 80}.pth").startswith(f"start-{'网' * 21}-")  # 63 bytes


def test_what_is_off_the_shelf_has_a_folder_and_a_name_for_readers() -> None:
    names = ["torchvision:resnet50", "timm:resnet18.a1_in1k", "~/my nets/encoder 1.safetensors"]
    found = off_the_shelf(OffTheShelf(weights=name) for name in names)
    assert list(found) == ["resnet50.IMAGENET1K_V2", "timm=resnet18.a1_in1k", "file=encoder_1"]
    assert [one.title for one in found.values()] == [
        "ImageNet (resnet50)",
        "resnet18.a1_in1k",
        "file encoder 1.safetensors",
    ]
    with pytest.raises(UserError, match=r"compare: a/net\.pth and b/net\.pth would share the folder file=net: rename"):
        off_the_shelf([OffTheShelf(weights="a/net.pth"), OffTheShelf(weights="b/net.pth")])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet50", "compare.0: .*it must be torchvision:resnet50, or the path of a file of weights"),
        ("torchvision:resnet5O", 'compare.0: .* must name a ResNet of torchvision; did you mean "resnet50"'),
        ("timm:resnet18", r"compare.0: .*write timm:resnet18.TAG, with one that timm.list_pretrained\('resnet18"),
        ("torchvison:resnet50", "compare.0: .* must be torchvision:NAME, timm:NAME.TAG or the path of a file"),
        ({"encoder": "resnet5O", "weights": "a.pth"}, 'compare.0.encoder: .* did you mean "resnet50"'),
        ({"encoder": "mine:net", "weights": "a.pth"}, "compare.0.encoder: .* must be timm:NAME or a ResNet of torch"),
        ({"encoder": "resnet50", "weights": "timm:vit.tag"}, "compare.0.encoder: .* or weights must be a path"),
        ({"encoder": "resnet50"}, "compare.0.weights: this key is required"),
    ],
)
def test_a_name_that_is_wrong_is_one_sentence(name: str | dict[str, str], sentence: str) -> None:
    blocks = {"datasets": {"d": {"source": "digits"}}, "pretrains": {"p": {}}}
    with pytest.raises(UserError, match=sentence):
        read_config({**blocks, "compare": [name], "experiments": [{"dataset": "d", "pretrain": "p"}]})


@pytest.mark.parametrize("name", ["compare", "Summary", "weights"])
@pytest.mark.parametrize("block", ["datasets", "pretrains", "finetunes"])
def test_names_of_folders_beside_those_of_blocks_are_refused(block: str, name: str) -> None:
    blocks: dict[str, Any] = {"datasets": {"d": {"source": "digits"}}, "pretrains": {"p": {}}, "finetunes": {}}
    blocks[block][name] = {"source": "digits"} if block == "datasets" else {}
    with pytest.raises(UserError, match=rf"^{block}\.{name}.* must not be {name.lower()}.*reserved for"):
        read_config({**blocks, "experiments": [{"dataset": "d", "pretrain": "p"}]})


def test_every_run_is_compared_with_what_is_off_the_shelf_and_its_weights_are_fetched_once() -> None:
    blocks: dict[str, Any] = {"datasets": {"d": {"source": "digits"}}}
    start = {"encoder": "resnet50", "init": "published", "weights_path": "net.pth"}
    blocks |= {"pretrains": {"p": {}, "q": start}, "compare": ["torchvision:resnet50", FILE]}
    runs = [{"dataset": "d", "pretrain": "p", "seeds": [0, 1]}, {"dataset": "d", "pretrain": "q"}]
    asked = plan(read_config({**blocks, "experiments": runs}))
    shelf = {"resnet50.IMAGENET1K_V2", "file=own"}
    assert all(shelf < set(run.compared) for run in asked.runs)
    others = {"pixels", "random-resnet18-seed0", "random-resnet18-seed1", "random-resnet50-imagenet-seed0"}
    begins = "start-published-resnet50-imagenet"
    assert set(asked.compared("d")) == {*others, begins, *shelf}
    assert [run.pretrain for run in asked.runs if begins in run.compared] == ["q"]
    assert [weights.path for weights in asked.published.values()] == ["net.pth"]
    assert asked.own_files["compare.1"] == Path("own.safetensors")
    assert asked.compared("d")["file=own"].network == OffTheShelf.model_validate(FILE)
