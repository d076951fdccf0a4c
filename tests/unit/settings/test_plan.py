import json
from typing import Any

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.config import read_config
from simclr_steps.settings.plan import Plan, plan
from simclr_steps.settings.runs import judge_of


def config(*experiments: dict[str, Any], **blocks: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "datasets": {"digits": {"source": "digits"}, "own": {"source": "folder", "path": "x", "image_size": 32}},
        "pretrains": {"simclr": {"epochs": 3}, "same": {"epochs": 3}, "longer": {"epochs": 5}},
        "finetunes": {"few": {"labels": 10}, "many": {"labels": 0.5}},
        "experiments": [{"dataset": "digits", "pretrain": "simclr"} | experiment for experiment in experiments],
    }
    return content | blocks


def planned(*experiments: dict[str, Any], **blocks: Any) -> Plan:
    return plan(read_config(config(*experiments, **blocks)))


@pytest.mark.parametrize(
    ("blocks", "key"),
    [
        ({"selection": {"criterion": "knn"}}, "selection.criterion: knn"),
        ({"selection": {"criterion": "last"}, "finetunes": {"few": {"keep": "best"}}}, "finetunes.few.keep: best"),
    ],
)
def test_a_choice_on_the_hold_out_needs_one(blocks: dict[str, Any], key: str) -> None:
    datasets = {"digits": {"source": "digits", "validation_fraction": 0}}
    with pytest.raises(UserError, match=f"{key} needs a hold-out, but datasets.digits.validation_fraction is 0"):
        planned({"finetunes": ["few"]}, datasets=datasets, **blocks)


def test_every_seed_is_a_run() -> None:
    assert [run.seed for run in planned({"seeds": [0, 1, 7]}).runs] == [0, 1, 7]


def test_equal_pretrainings_are_shared_and_their_finetunings_joined() -> None:
    result = planned({"finetunes": ["few"]}, {"pretrain": "same", "finetunes": ["many", "few"]})
    assert len(result.runs) == 1
    assert result.runs[0].finetunes == ["few", "many"]


def test_a_run_keeps_what_it_is_in_every_grid_and_no_other_data_set_or_seed_takes_it() -> None:
    result = planned(
        {"pretrain": "longer", "grid": {"epochs": [3, 5]}},
        {"seeds": [0, 1]},
        {"grid": {"temperature": [0.5, 0.1]}},
        {"dataset": "own"},
    )
    grids = {(run.dataset, run.pretrain, run.seed): run.grids for run in result.runs}
    shared = [(point.pretrain, point.values) for point in grids["digits", "longer-epochs=3", 0]]
    assert shared == [("longer", {"epochs": 3}), ("simclr", {"temperature": 0.5})]
    assert grids["digits", "longer-epochs=3", 1] == grids["own", "longer-epochs=3", 0] == []
    assert len(result.runs) == 5


def test_pretrainings_on_two_datasets_are_two_runs() -> None:
    result = planned({}, {"dataset": "own"}, {"pretrain": "longer"})
    assert {(run.dataset, run.pretrain) for run in result.runs} == {
        ("digits", "simclr"),
        ("own", "simclr"),
        ("digits", "longer"),
    }


MANY_KEYS = [f"{name}_probability" for name in ("crop", "jitter", "grayscale", "blur", "solarize", "rotation")]


@pytest.mark.parametrize(
    ("experiment", "sentence"),
    [
        ({"dataset": "digit"}, 'experiments.0.dataset: there is no block "digit" in datasets; did you mean "digits"?'),
        ({"pretrain": "x"}, 'experiments.0.pretrain: there is no block "x" in pretrains; available: longer, same'),
        ({"finetunes": ["fewer"]}, 'experiments.0.finetunes: there is no block "fewer" in finetunes; did you mean'),
        ({"grid": {"temprature": [1]}}, 'experiments.0.grid: unknown key "temprature"; did you mean "temperature"?'),
        ({"grid": {"temperature": [0]}}, "experiments.0.grid.temperature: 0 is wrong"),
        ({"grid": {"temperature.high": [1]}}, 'experiments.0.grid.temperature: {"high": 1} is wrong'),
        ({"grid": {"augmentation.preset": ["photo"]}}, 'experiments.0.grid.augmentation.preset: "photo" is not known'),
        ({"grid": {"temperature": []}}, "experiments.0.grid.temperature: the list is empty"),
        (
            {"grid": {f"augmentation.{name}": [0.123456789] for name in MANY_KEYS}},
            "experiments.0.grid: the name of a folder would be 273 bytes long, but at most 240 are allowed: use fewer "
            "keys, or write separate blocks",
        ),
        (
            {"grid": {"encoder": [f"mine:{'网' * 75}"]}},
            "experiments.0.grid: the name of a folder would be 245 bytes long, but at most 240 are allowed: use fewer",
        ),
        ({"seeds": []}, "experiments.0.seeds"),
        ({"seeds": [-1]}, "experiments.0.seeds.0"),
        ({"seeds": [2**32]}, "experiments.0.seeds.0"),
        ({"finetune": ["few"]}, 'experiments.0: unknown key "finetune"; did you mean "finetunes"?'),
    ],
)
def test_wrong_experiment_is_one_sentence_that_names_the_key(experiment: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        planned(experiment)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("blocks", "sentence"),
    [
        (
            {"pretrains": {"simclr": {"encoder": f"mine:{'网' * 80}"}}},
            "pretrains.simclr.encoder: the name of a folder would be 258 bytes long, but at most 240 are allowed: "
            "shorten the name of its module or function",
        ),
        (
            {"compare": [f"{'网' * 80}.pth"]},
            f"compare: {'网' * 80}.pth: the name of a folder would be 245 bytes long, but at most 240 are allowed: "
            "rename the file",
        ),
    ],
)
def test_names_below_compare_that_are_too_long_for_a_folder_are_refused(blocks: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        planned({}, **blocks)
    assert str(error.value) == sentence
    planned({}, **json.loads(json.dumps(blocks, ensure_ascii=False).replace("网" * 80, "网" * 70)))


def test_a_hold_out_that_the_data_may_bring_is_left_to_the_check() -> None:
    own = {"source": "folder", "path": "x", "image_size": 32, "validation_fraction": 0}
    assert planned({"dataset": "own"}, datasets={"own": own}).runs


def test_two_pretrainings_under_one_name_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"^experiments\.0\.grid: two different pretrainings would share the folder simclr"
    ):
        planned({"grid": {"encoder": ["a_b:c", "a:b_c"]}})


def test_rankme_that_is_never_measured_is_refused() -> None:
    with pytest.raises(UserError, match=r"rankme is not measured for simclr, whose monitor_epochs is 0"):
        planned({}, pretrains={"simclr": {"monitor_epochs": 0}}, selection={"criterion": "rankme"})


@pytest.mark.parametrize("criterion", ["validate_loss", "knn"])
def test_selection_without_a_hold_out_is_refused(criterion: str) -> None:
    blocks: dict[str, Any] = {"datasets": {"digits": {"source": "digits", "validation_fraction": 0}}}
    with pytest.raises(UserError, match=r"selection.criterion: .* needs a hold-out"):
        planned({}, **blocks, selection={"criterion": criterion})
    assert planned({}, **blocks, selection={"criterion": "last"}).runs


def test_empty_config_asks_for_its_first_key() -> None:
    with pytest.raises(UserError, match="datasets: this key is required"):
        read_config({})


BLOCKS: dict[str, Any] = {
    "datasets": {
        "digits": {"source": "digits"},
        "mnist": {"source": "torchvision", "name": "MNIST", "mirrors": ["https://example.org"]},
        "own": {"source": "folder", "path": "/not/there", "image_size": 32},
    },
    "umap": {"split": "train"},
}
EXPERIMENTS: list[dict[str, Any]] = [
    {"seeds": [0, 1], "finetunes": ["few"]},
    {"dataset": "mnist", "pretrain": "longer"},
]


def test_every_run_and_classifier_has_a_folder() -> None:
    result = planned(*EXPERIMENTS, **BLOCKS)
    assert result.datasets == ["digits", "mnist"]
    assert [run.folder for run in result.runs] == ["digits/simclr/seed0", "digits/simclr/seed1", "mnist/longer/seed0"]
    assert result.classifiers == ["digits/simclr/seed0/finetune/few", "digits/simclr/seed1/finetune/few"]


def test_demands_are_those_of_the_data_sets_own_experiments() -> None:
    result = planned(*EXPERIMENTS, **BLOCKS)
    digits, mnist = result.demands("digits"), result.demands("mnist")
    block = result.pretrains["simclr"]
    assert {name: dict(one) for name, one in digits.pretrains.items()} == {
        "simclr": {
            "global_batch_size": block.global_batch_size,
            "epochs": block.epochs,
            "warmup_epochs": block.warmup_epochs,
            "warmup_steps": None,
        }
    }
    assert (digits.finetunes["few"].labels, digits.finetunes["few"].keep) == (10, "last")
    assert (digits.criterion, digits.drawn, digits.supervised) == ("auto", ["train"], False)
    assert set(mnist.pretrains) == {"longer"} and not mnist.finetunes


def test_packing_ignores_where_verified_originals_come_from_and_download_where_they_go() -> None:
    result, moved = (planned(*EXPERIMENTS, **BLOCKS | {"datasets": blocks}) for blocks in two_places())
    assert result.packed("mnist") == moved.packed("mnist") != result.packed("digits")
    assert result.packed("mnist")["name"] == "MNIST" and "mirrors" not in result.packed("mnist")
    assert result.packed("own") == moved.packed("own"), "the fingerprint tells which files they are"
    assert json.loads(result.listed("own"))["path"] != json.loads(moved.listed("own"))["path"]
    assert result.what_is_downloaded("mnist") == moved.what_is_downloaded("mnist") == '["torchvision","MNIST"]'
    assert result.what_is_downloaded("digits") == '["digits",null]'


def test_display_is_told_to_what_draws_and_to_check_and_to_nothing_else() -> None:
    blocks = BLOCKS["datasets"]
    plain, shown = (
        planned(*EXPERIMENTS, **BLOCKS | {"datasets": blocks | {"digits": blocks["digits"] | more}})
        for more in ({}, {"display": {"0": "green"}})
    )
    assert plain.packed("digits") == shown.packed("digits") and "display" not in shown.packed("digits")
    for result, expected in ((plain, None), (shown, {"0": "green"})):
        drawn = result.umap("digits"), result.gallery("digits", "simclr"), result.demands("digits")
        assert [settings.display for settings in drawn] == [expected] * 3
        assert result.summary.displays == ({"digits": expected} if expected else {})
    assert plain.umap("digits").model_dump(exclude={"display", "columns", "pictures"}) == plain.config.umap.model_dump()


def test_metadata_are_told_to_umap_and_the_summary_and_change_nothing_before() -> None:
    plain, asked = (planned(*EXPERIMENTS, **BLOCKS, **more) for more in ({}, {"metadata": ["plate"]}))
    assert (plain.umap("digits").columns, asked.umap("digits").columns) == ([], ["plate"])
    assert (plain.summary.metadata, asked.summary.metadata) == ([], ["plate"])
    assert (asked.packed("digits"), asked.demands("digits")) == (plain.packed("digits"), plain.demands("digits"))
    assert (asked.runs, asked.pretrains) == (plain.runs, plain.pretrains)


def two_places() -> list[dict[str, Any]]:
    """Return the data sets, and the same from other places."""
    datasets = BLOCKS["datasets"]
    mnist = datasets["mnist"] | {"mirrors": [], "path": "/elsewhere"}
    return [datasets, datasets | {"mnist": mnist, "own": datasets["own"] | {"path": "/elsewhere"}}]


def test_gallery_is_given_the_augmentation_and_not_how_it_trains() -> None:
    result = planned({}, {"pretrain": "longer"})
    assert result.gallery("digits", "simclr").as_json() == result.gallery("digits", "longer").as_json()
    assert set(json.loads(result.gallery("digits", "simclr").as_json())) == {"augmentation", "view_size", "display"}


@pytest.mark.parametrize(
    ("experiment", "more"),
    [
        ({}, []),
        ({"finetunes": ["few"]}, ["confusion", "mistakes", "finetune_history"]),
        ({"grid": {"temperature": [0.1, 0.5]}}, ["sweep"]),
    ],
)
def test_summary_draws_classifiers_and_grids_where_there_are_any(experiment: dict[str, Any], more: list[str]) -> None:
    result = planned(experiment)
    assert result.summary_plots == ["label_efficiency", "history", "monitors", *more]
    assert result.summary.runs == list(result.runs)


def test_published_weights_are_named_once_and_their_source_decides_no_training() -> None:
    block: dict[str, Any] = {"init": "published", "encoder": "resnet50"}
    blocks = {"simclr": block, "longer": block}
    blocks["longer"] = block | {"weights_path": "mine.pth", "weights_mirrors": ["https://example.org"], "epochs": 200}
    result = planned({}, {"pretrain": "longer"}, pretrains=blocks)
    assert list(result.published) == ["resnet50.IMAGENET1K_V2"]
    assert result.published["resnet50.IMAGENET1K_V2"].path == "mine.pth"
    assert "mine.pth" not in result.pretrains["longer"].trained.as_json()


SWEEP = {"grid": {"temperature": [0.1, 0.5]}, "finetunes": ["few", "bare"], "seeds": [0, 1]}
BARE = {"finetunes": {"few": {"labels": 10}, "bare": {"init": "random"}}}


def test_runs_of_a_grid_are_judged_by_the_hold_out_until_their_pretraining_is_asked_for_by_itself() -> None:
    swept = planned(SWEEP, **BARE)
    assert {run.judged_by for run in swept.runs} == set(swept.judged_by.values()) == {"validation"}
    assert set(map(tuple, swept.predicted.values())) == {("validation",)}
    assert swept.demands("digits").judged_by == ["validation"]
    won = planned(SWEEP, {"pretrain": "best"}, **BARE, pretrains={"simclr": {}, "best": {"temperature": 0.1}})
    assert {(run.pretrain, run.judged_by) for run in won.runs} == {
        ("simclr-temperature=0.1", "test"),  # the folder stays, so that it is not trained again
        ("simclr-temperature=0.5", "validation"),
    }
    assert won.demands("digits").judged_by == ["test", "validation"]
    by = {folder.removeprefix("digits/"): split for folder, split in won.judged_by.items()}
    assert by["compare/pixels"] == by["compare/random-resnet18-seed0/finetune/bare"] == "test", "the winner needs them"
    assert by["simclr-temperature=0.5/seed1/finetune/few"] == "validation"
    for_others = {run.pretrain: run.judged_for_others for run in won.runs}
    assert for_others == {"simclr-temperature=0.1": [], "simclr-temperature=0.5": ["bare"]}
    of_other_seeds = [
        judge_of(f"digits/simclr-temperature={value}/seed9/finetune/few", won.judged_by, won.runs)
        for value in (0.5, 0.1)
    ]
    assert of_other_seeds == ["validation", "test"]


def test_what_draws_and_explores_takes_the_hold_out_where_that_judges() -> None:
    result = planned(SWEEP, **BARE)
    assert (result.umap("digits").split, result.umap("digits", "validation").split) == ("test", "validation")
    assert planned(SWEEP, **BARE, umap={"split": "train"}).umap("digits", "validation").split == "train"
    every = planned(*EXPERIMENTS, **BLOCKS | {"umap": {"split": "all"}})
    assert every.demands("digits").drawn == ["train", "validation", "test"]
    assert result.explore("digits", "validation").arrays == ["train", "validation"]
    assert result.explore("digits").arrays == ["train", "test"]
    of_train = planned(SWEEP, **BARE, explore={"splits": ["train"]})
    assert of_train.explore("digits", "validation") == of_train.explore("digits")  # so that nothing reruns


def test_a_grid_without_a_hold_out_is_refused() -> None:
    datasets = {"digits": {"source": "digits", "validation_fraction": 0}}
    with pytest.raises(UserError, match=r"^experiments\.1\.grid: runs of a grid are judged on the hold-out, so that"):
        planned({}, SWEEP, datasets=datasets, selection={"criterion": "last"}, **BARE)
