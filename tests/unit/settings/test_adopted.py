"""A thousand results that Snakemake does not know are compared with a plan in less than two seconds."""

from __future__ import annotations

import hashlib
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from simclr_steps.machine.code_hash import code_hash
from simclr_steps.machine.errors import UserError
from simclr_steps.settings.adopted import Result, check_adopted, results
from simclr_steps.settings.config import read_config
from simclr_steps.settings.plan import Plan, plan

ROOT = Path(__file__).parents[3]
FIRST = hashlib.sha256(b"first").hexdigest()  # of the weights that trainings started from


def planned(
    seeds: int,
    compare: list[str] | None = None,
    tuned: str = "pretrained",
    grid: dict[str, list[float]] | None = None,
    metadata: list[str] | None = None,
    **pretrain: str,
) -> Plan:
    blocks: dict[str, Any] = {
        "prediction": {"splits": ["test", "unlabeled"]},
        "compare": compare or [],
        "metadata": metadata or [],
        "datasets": {"digits": {"source": "digits"}},
        "pretrains": {"simclr": {"epochs": 1, **pretrain}},
        "finetunes": {"tuned": {"labels": 0.1, "init": tuned}},
    }
    runs = {
        "dataset": "digits",
        "pretrain": "simclr",
        "finetunes": ["tuned"],
        "seeds": list(range(seeds)),
        "grid": grid or {},
    }
    return plan(read_config({**blocks, "experiments": [runs]}))


def write(folder: Path, result: Result, **changes: Any) -> None:
    path = folder / result.record
    path.parent.mkdir(parents=True, exist_ok=True)
    step, *others = result.steps
    record = {"settings": dict(result.settings), "code_hash": code_hash(step), "data_hash": "own files", **changes}
    records = {other: {"code_hash": code_hash(other)} for other in others}
    architecture = {"own_code_hash": "own code", "started_from": {"sha256": FIRST}}
    own = {"judged_by": result.judged_by} | ({"split": result.drawn} if result.drawn else {})
    path.write_text(json.dumps({"run": record, "architecture": architecture, "sha256": FIRST, **own, **records}))


def check(
    folder: Path,
    asked: Plan,
    known: bool = False,
    own_files: str | dict[str, str] = "own files",
    own_code: str = "own code",
) -> None:
    check_adopted(
        asked,
        lambda path: str(folder / path),
        lambda rule, path: known,
        lambda dataset, rule: [own_files[rule]] if isinstance(own_files, dict) else [own_files],
        lambda encoder: [own_code] if encoder else [],
    )


def test_each_rule_that_leaves_a_record_is_compared() -> None:
    rules = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "workflow/rules").glob("*.smk"))
    outputs = {
        name: outputs[1]
        for block in re.split(r"^(?:use rule \w+ as|rule) ", rules, flags=re.MULTILINE)[1:]
        if (outputs := re.search(r"^    output:\n(.*?)^    \w+:", block, re.MULTILINE | re.DOTALL))
        for name in re.findall(r"^\w+", block)[:1]
    }
    recording = {
        name for name, files in outputs.items() if '.json"' in files or ("directory(" in files and "temp(" not in files)
    }
    assert recording > {"pretrain", "metadata", "take_unlabeled", "gather_further_predictions", "summary"}
    asked = (
        planned(1, metadata=["plate"], init="published", encoder="resnet18"),
        planned(1, grid={"temperature": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}),
    )
    assert {result.rule for one in asked for result in results(one)} == recording


def test_a_thousand_results_are_compared_in_two_seconds(tmp_path: Path) -> None:
    asked = planned(167)
    written = list(results(asked))
    assert len(written) > 1000
    for result in written:
        write(tmp_path, result)
    started = time.process_time()
    check(tmp_path, asked)
    assert time.process_time() - started < 2


@pytest.mark.parametrize("changes", [{"settings": {}}, {"code_hash": "0"}, {"settings": None}])
def test_each_kind_of_difference_is_named_with_the_rules_to_run(tmp_path: Path, changes: dict[str, Any]) -> None:
    asked = planned(1)
    for result in results(asked):
        write(tmp_path, result, **(changes if result.rule == "finetune" else {}))
    sentence = r"^results/digits/simclr/seed0/finetune/tuned/metrics.json were made .* adding -R finetune, or move them"
    with pytest.raises(UserError, match=sentence):
        check(tmp_path, asked)
    check(tmp_path, asked, known=True)


def test_pages_of_runs_have_records_too(tmp_path: Path) -> None:
    asked = planned(1, grid={"temperature": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]})
    for result in results(asked):
        write(tmp_path, result, **({"code_hash": "0"} if "temperature=0.3/seed0/index" in result.record else {}))
    with pytest.raises(
        UserError, match=r"^results/digits/simclr-temperature=0\.3/seed0/index\.json were .* -R present,"
    ):
        check(tmp_path, asked)


@pytest.mark.parametrize("changes", [{"code_hash": "0"}, {"data_hash": "other"}, {"settings": {"columns": ["site"]}}])
def test_batch_effects_of_other_code_images_or_columns_are_noticed(tmp_path: Path, changes: dict[str, Any]) -> None:
    asked = planned(1, metadata=["plate"])
    for result in results(asked):
        write(tmp_path, result, **(changes if result.rule == "metadata" else {}))
    described = tmp_path / "resources/digits/dataset.json"
    described.write_text(json.dumps({**json.loads(described.read_text()), "content_hash": "own files"}))
    with pytest.raises(UserError, match=r"^results/digits/simclr/seed0/evaluate/metadata\.json were .* -R metadata,"):
        check(tmp_path, asked)


def test_a_damaged_record_is_no_proof(tmp_path: Path) -> None:
    asked = planned(1)
    for result in results(asked):
        write(tmp_path, result)
    (tmp_path / "results/digits/simclr/seed0/evaluate/knn.json").write_text("{")
    with pytest.raises(UserError, match="-R evaluate"):
        check(tmp_path, asked)


@pytest.fixture
def adopted(tmp_path: Path) -> Path:
    for result in results(planned(1)):
        write(tmp_path, result)
    return tmp_path


def test_files_of_the_user_that_changed_are_noticed(adopted: Path) -> None:
    for rule, file in (("prepare", "images"), ("label", "dataset")):
        files = {"prepare": "own files", "label": "own files", rule: "changed"}
        with pytest.raises(UserError, match=rf"^resources/digits/{file}\.json were made .* adding -R {rule}, or"):
            check(adopted, planned(1), own_files=files)


def test_own_code_that_changed_is_noticed_in_all_that_is_built_of_it(adopted: Path) -> None:
    with pytest.raises(
        UserError, match="seed0/pretrain/run.json, results/digits/compare/random-.* -R pretrain compare"
    ):
        check(adopted, planned(1), own_code="changed")


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        ("finetune/tuned/predictions.json", "gather_predictions"),
        ("finetune/tuned/unlabeled.predictions.json", "gather_further_predictions"),
        ("features/test/run.json", "gather_features"),
        ("features/train/run.json", "gather_features"),
        ("features/unlabeled/run.json", "take_unlabeled"),
    ],
)
@pytest.mark.parametrize("record", ["run", "predict"])
def test_features_and_predictions_of_other_code_are_noticed(adopted: Path, file: str, rule: str, record: str) -> None:
    path = adopted / "results/digits/simclr/seed0" / file
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, record: {**content[record], "code_hash": "0"}}))
    with pytest.raises(UserError, match=f"^results/digits/simclr/seed0/{file} were made .* adding -R {rule}, or"):
        check(adopted, planned(1))


def test_splits_that_are_predicted_for_the_first_time_are_no_other_results(adopted: Path) -> None:
    for path in adopted.rglob("unlabeled.predictions.json"):
        path.unlink()
    check(adopted, planned(1))


def test_originals_of_another_set_are_noticed(adopted: Path) -> None:
    path = adopted / "resources/digits/originals.json"
    path.write_text(path.read_text().replace('"source": "digits"', '"source": "torchvision", "name": "MNIST"'))
    with pytest.raises(UserError, match=r"^resources/digits/originals\.json were made .* adding -R download, or"):
        check(adopted, planned(1))


_STARTED = (
    r"results/digits/simclr/seed0/pretrain/run\.json, results/digits/simclr/seed1/pretrain/run\.json, "
    r"results/digits/compare/start-{}-resnet18-imagenet/knn\.json were made .* or weights, .* -R pretrain compare, or"
)


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ({"seeds": 2, "init": "OWN"}, _STARTED.format(r"own-\w+")),
        ({"seeds": 2, "init": "published"}, _STARTED.format("published")),
        ({"seeds": 1, "compare": ["OWN"]}, r"results/digits/compare/file=own/knn\.json were .* -R compare, or"),
        (
            {"seeds": 1, "compare": ["torchvision:resnet18"]},
            r"results/digits/compare/resnet18\.IMAGENET1K_V1/knn\.json were .* -R compare, or",
        ),
    ],
)
def test_results_of_other_weights_are_noticed(tmp_path: Path, blocks: dict[str, Any], said: str) -> None:
    own = tmp_path / "own.pth"
    asked = planned(**json.loads(json.dumps({"encoder": "resnet18", **blocks}).replace("OWN", str(own))))
    for result in results(asked):
        write(tmp_path, result)
    own.write_bytes(b"first")
    check(tmp_path, asked)
    own.write_bytes(b"other")
    for file in (tmp_path / "resources/weights").glob("*.json"):
        file.write_text(json.dumps({**json.loads(file.read_text()), "sha256": "other"}))
    with pytest.raises(UserError, match=f"^{said}"):
        check(tmp_path, asked)


def test_a_file_of_published_weights_that_has_changed_is_noticed(tmp_path: Path) -> None:
    own = tmp_path / "own.safetensors"
    asked = planned(1, init="published", encoder="timm:test_resnet.r160_in1k", weights_path=str(own))
    for result in results(asked):
        write(tmp_path, result)
    own.write_bytes(b"first")
    check(tmp_path, asked)
    own.write_bytes(b"other")
    with pytest.raises(UserError, match=r"^resources/weights/timm=test_resnet\.r160_in1k\.json .* -R download_weights"):
        check(tmp_path, asked)
    own.unlink()
    own.mkdir()
    check(tmp_path, asked)


def test_a_classifier_of_other_published_weights_or_of_other_own_code_from_scratch_is_noticed(tmp_path: Path) -> None:
    asked = planned(1, tuned="published")
    for result in results(asked):
        write(tmp_path, result)
    check(tmp_path, asked)
    [file] = (tmp_path / "resources/weights").glob("*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "sha256": "other"}))
    place = "results/digits/compare/published-resnet18-seed0/finetune/tuned/metrics.json"
    with pytest.raises(UserError, match=f"^{place} were made .* adding -R finetune, or"):
        check(tmp_path, asked)
    asked = planned(1, tuned="random", encoder="mine:net")
    for result in results(asked):
        write(tmp_path, result)
    with pytest.raises(UserError, match="random-mine=net-seed0/finetune/tuned.* adding -R pretrain finetune compare"):
        check(tmp_path, asked, own_code="changed")


def test_results_that_were_judged_by_another_split_are_not_used(tmp_path: Path) -> None:
    alone = planned(1)
    for result in results(alone):
        write(tmp_path, result)
    check(tmp_path, alone)
    for name in ("evaluate/knn.json", "finetune/tuned/metrics.json"):
        file = tmp_path / "results/digits/simclr/seed0" / name
        file.write_text(json.dumps({**json.loads(file.read_text()), "judged_by": "validation"}))
    file = tmp_path / "results/digits/simclr/seed0/galleries/run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "split": "validation"}))
    with pytest.raises(UserError, match=r"knn\.json, .*run\.json, .* were made .* -R evaluate galleries finetune"):
        check(tmp_path, alone)
