"""The chosen encoder is the one that the criterion names, by the hold-out alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from simclr_steps.data.packed import read_split
from simclr_steps.files import checksums, read_json, read_table, write_json, write_table
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
from simclr_steps.methods.candidate_files import Candidate, read_candidate, write_candidate
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.networks.features import compute_features
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.selection import SelectionSettings
from simclr_steps.steps.select import select
from tests.unit.conftest import digits

LOSSES = {"best_loss.ckpt": 1.0, "epoch2.ckpt": 2.0, "last.ckpt": 3.0}


@pytest.fixture
def data(write_packed: Callable[..., Path]) -> Path:
    folder = write_packed()
    for file in folder.glob("test.*"):
        file.unlink()  # no selection may read it
    return folder


@pytest.fixture
def candidates(tmp_path: Path) -> Path:
    """Write three candidates of random weights; the first one's features are all alike, so kNN can't like it."""
    folder = tmp_path / "pretrain"
    settings = PretrainSettings(
        encoder="tests.own_encoders:smooth_with_batch_norm",
        projection_head=ProjectionHead(hidden_size=8, output_size=4),
    )
    architecture = resolve(settings, ImageFormat.of_8_bits((8, 8), 1))
    rows = []
    for number, (name, loss) in enumerate(LOSSES.items()):
        torch.manual_seed(number)
        weights = Encoder(architecture).state_dict()
        if number == 0:
            weights["backbone.0.weight"] *= 0
        write_candidate(folder / name, Candidate(number + 1, 10 * number, loss, weights), architecture)
        rows.append({"file": name, "epoch": number + 1, "step": 10 * number, "validate_loss": loss})
    write_table(folder / "checkpoints.csv", rows)
    write_json(folder / "run.json", {"seed": 0})
    return folder


def choose(criterion: str, candidates: Path, data: Path) -> str:
    out = candidates.parent / criterion
    settings = SelectionSettings.model_validate({"criterion": criterion})
    select(settings, candidates=candidates, data=data, out=out, hardware=Hardware(gpus=0))
    selection = read_json(out / "selection.json")
    written, expected = load_file(out / "encoder.safetensors"), read_candidate(candidates / selection["chosen"])[0]
    assert all(torch.equal(written[name], expected.weights[name]) for name in expected.weights)
    assert selection["why"] and selection["criterion"] == criterion
    return str(selection["chosen"])


def test_validate_loss_chooses_the_least(candidates: Path, data: Path) -> None:
    assert choose("validate_loss", candidates, data) == "best_loss.ckpt"


def test_last_chooses_the_last(candidates: Path, data: Path) -> None:
    assert choose("last", candidates, data) == "last.ckpt"


def test_knn_chooses_the_best_by_scikit_learns_classifier(candidates: Path, data: Path) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    train, hold_out = read_split(data, "train"), read_split(data, "validation")
    scores = {}
    for name in LOSSES:
        _, encoder = read_candidate(candidates / name)
        bank, queries = (compute_features(encoder, s.images, torch.device("cpu"))[0] for s in (train, hold_out))
        scores[name] = KNeighborsClassifier(10, metric="cosine").fit(bank, train.labels).score(queries, hold_out.labels)
    chosen = choose("knn", candidates, data)
    assert chosen == max(scores, key=lambda name: scores[name]) != "best_loss.ckpt"
    table = read_json(candidates.parent / "knn" / "selection.json")["candidates"]
    assert [row["knn_accuracy"] for row in table] == pytest.approx(list(scores.values()), abs=0.02)
    assert {row["images"] for row in table} == {len(hold_out.labels)}


@pytest.mark.parametrize(("is_given", "labels", "meant"), [(True, 1, "knn"), (True, 0, "loss"), (False, 1, "loss")])
def test_auto_is_knn_for_given_weights_where_there_are_labels(
    candidates: Path, write_packed: Callable[..., Path], is_given: bool, labels: int, meant: str
) -> None:
    (images, numbers), (held_out, others) = digits(200), digits(60, 200)
    nothing = digits(0)
    splits = {"train": (images, numbers * labels + labels - 1), "validation": (held_out, others * labels + labels - 1)}
    data = write_packed({**splits, "test": nothing, "unlabeled": nothing})
    origin = {"name": "given.pth"} if is_given else None
    write_json(candidates / "run.json", {"seed": 0, "architecture": {"started_from": origin}})
    out = candidates.parent / "auto"
    select(SelectionSettings(), candidates=candidates, data=data, out=out, hardware=Hardware(gpus=0))
    assert read_json(out / "selection.json")["criterion"] == {"knn": "knn", "loss": "validate_loss"}[meant]


def test_a_tie_with_the_start_is_the_start_as_no_gain_is_shown(candidates: Path, data: Path) -> None:
    for name, epoch in (("initial.ckpt", 0), ("best_knn.ckpt", 2)):
        shutil.copyfile(candidates / "last.ckpt", candidates / name)
        rows = read_table(candidates / "checkpoints.csv")
        write_table(candidates / "checkpoints.csv", [*rows, {**rows[-1], "file": name, "epoch": epoch}])
    assert choose("knn", candidates, data) == "initial.ckpt"
    why = read_json(candidates.parent / "knn" / "selection.json")["why"]
    assert why.startswith("its kNN accuracy on the hold-out is the highest, 0.") and why.endswith(", as that of others")


def test_candidates_whose_hold_out_was_not_measured_are_refused(candidates: Path, data: Path) -> None:
    write_table(candidates / "checkpoints.csv", [{"file": "last.ckpt", "epoch": 3, "step": 9, "validate_loss": None}])
    with pytest.raises(UserError, match="selection.criterion: validate_loss was not measured for any candidate"):
        choose("validate_loss", candidates, data)


@pytest.mark.parametrize("criterion", ["validate_loss", "knn", "rankme"])
def test_without_a_hold_out_only_the_last_can_be_chosen(
    criterion: str, candidates: Path, write_packed: Callable[..., Path]
) -> None:
    data = write_packed({"train": digits(200), "validation": digits(1), "unlabeled": digits(0)})
    assert choose("last", candidates, data) == "last.ckpt"
    with pytest.raises(UserError, match=f"selection.criterion: {criterion} needs a hold-out of at least two images"):
        choose(criterion, candidates, data)


def test_knn_without_labels_is_refused(candidates: Path, write_packed: Callable[..., Path]) -> None:
    images, labels = digits(60)
    data = write_packed({"train": digits(200), "validation": (images, 0 * labels - 1), "unlabeled": digits(0)})
    with pytest.raises(UserError, match="selection.criterion: knn needs labels in the training split and the hold-out"):
        choose("knn", candidates, data)


def test_rankme_chooses_the_highest_effective_rank_that_was_measured(candidates: Path, data: Path) -> None:
    ranks = dict(zip(LOSSES, (9.5, None, 100.25), strict=True))
    rows = read_table(candidates / "checkpoints.csv")
    write_table(candidates / "checkpoints.csv", [{**row, "validate_rankme": ranks[row["file"]]} for row in rows])
    assert choose("rankme", candidates, data) == "last.ckpt"
    selection = read_json(candidates.parent / "rankme" / "selection.json")
    assert [row["validate_rankme"] for row in selection["candidates"]] == list(ranks.values())
    assert selection["why"] == "its effective rank on the hold-out is the highest, 100.2"


def test_rankme_that_was_never_measured_is_refused(candidates: Path, data: Path) -> None:
    with pytest.raises(
        UserError,
        match="selection.criterion: rankme was not measured for any candidate: set the pretraining's monitor_epochs",
    ):
        choose("rankme", candidates, data)


def test_checkpoint_of_another_architecture_is_named(candidates: Path, data: Path) -> None:
    content = torch.load(candidates / "best_loss.ckpt", weights_only=True)
    content["architecture"]["encoder"] = "resnet34"
    torch.save(content, candidates / "best_loss.ckpt")
    with pytest.raises(UserError, match="best_loss.ckpt does not match the requested architecture"):
        choose("validate_loss", candidates, data)


@pytest.mark.parametrize("name", ["best_loss.ckpt", "checkpoints.csv", "run.json"])
def test_a_flipped_bit_is_noticed(candidates: Path, data: Path, name: str) -> None:
    write_json(candidates / "checksums.json", checksums(candidates))
    assert choose("validate_loss", candidates, data) == "best_loss.ckpt"
    content = bytearray((candidates / name).read_bytes())
    content[content.rindex(b"0", 0, len(content) // 2 if name.endswith("ckpt") else None)] ^= 1
    (candidates / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name} is damaged \(its checksum is wrong\): delete its folder and run pre"):
        choose("validate_loss", candidates, data)


def test_a_candidate_that_is_cut_anywhere_or_holds_something_else_is_named(candidates: Path, data: Path) -> None:
    file = candidates / "best_loss.ckpt"
    whole, content = file.read_bytes(), torch.load(file, weights_only=True)
    for place in range(0, len(whole), 997):
        file.write_bytes(whole[:place])
        with pytest.raises(UserError, match="best_loss.ckpt is damaged"):
            choose("validate_loss", candidates, data)
    for odd in (
        7,
        {},
        {**content, "more": 1},
        {**content, "weights": 7},
        {**content, "weights": {"backbone.0.weight": 7}},
        {**content, "architecture": {**content["architecture"], "encoder": "resnet999"}},
    ):
        torch.save(odd, file)
        with pytest.raises(
            UserError, match="best_loss.ckpt (is damaged|does not match|describes a network that cannot)"
        ):
            choose("validate_loss", candidates, data)


def test_weights_that_are_not_finite_are_refused(candidates: Path, data: Path) -> None:
    content = torch.load(candidates / "best_loss.ckpt", weights_only=True)
    content["weights"]["backbone.0.weight"][0] = torch.nan
    torch.save(content, candidates / "best_loss.ckpt")
    with pytest.raises(UserError, match="best_loss.ckpt holds weights that are not finite, first in backbone.0.weight"):
        choose("validate_loss", candidates, data)


def test_truncated_candidate_is_named_and_nothing_is_written(candidates: Path, data: Path) -> None:
    file = candidates / "best_loss.ckpt"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(UserError, match="best_loss.ckpt is damaged"):
        choose("validate_loss", candidates, data)
    assert not (candidates.parent / "validate_loss").exists()
