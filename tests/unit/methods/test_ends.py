"""A pretraining goes on from the end of another: weights, head and optimizer state, bit for bit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from simclr_steps.files import checksums, read_json, read_table
from simclr_steps.machine.errors import UserError
from simclr_steps.methods import random_numbers
from simclr_steps.methods.candidate_files import read_candidate
from simclr_steps.methods.ends import OPTIMIZER, put_into, write_optimizer
from simclr_steps.methods.fitting import fitted_to
from simclr_steps.methods.simclr import SimCLR
from simclr_steps.networks.architecture import resolve
from simclr_steps.networks.encoders import Encoder
from simclr_steps.settings.image_format import ImageFormat
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.steps.pretrain import pretrain
from simclr_steps.training.batches import GlobalBatches
from simclr_steps.training.optimizers import build_optimizer
from tests.unit.pretraining import CPU, SMALL, history, train

FORM = ImageFormat.of_8_bits((8, 8), 1)


def go_on(out: Path, data: Path, parent: Path, settings: PretrainSettings, seed: int = 0) -> Path:
    pretrain(settings, data=data, seed=seed, out=out, work=out.with_name("work"), parent=parent, hardware=CPU)
    return out


def continuing(parent: PretrainSettings, **changes: Any) -> PretrainSettings:
    return parent.model_copy(update={"parent": parent, **changes})


def network(weights: dict[str, torch.Tensor] | None = None) -> Encoder:
    encoder: Encoder = Encoder(resolve(SMALL, FORM)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if weights:
        encoder.load_state_dict(weights)
    return encoder.train()


def step(encoder: Encoder, optimizer: torch.optim.Optimizer, number: int) -> None:
    images = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(number))
    optimizer.zero_grad()
    encoder(images)[1].square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "lars"])
def test_an_optimizer_goes_on_as_if_it_had_not_been_written_and_takes_its_own_rate(tmp_path: Path, name: str) -> None:
    settings, file = SMALL.model_copy(update={"optimizer": name}), tmp_path / OPTIMIZER
    one = network()
    first = build_optimizer([one.parameters()], settings, 0.01)
    for number in range(3):
        step(one, first, number)
    write_optimizer(file, one, first)
    other = network(one.state_dict())
    second = build_optimizer([other.parameters()], settings, 0.5)
    put_into(second, other, load_file(file))
    assert {group["lr"] for group in second.param_groups} == {0.5}
    for group in second.param_groups:
        group["lr"] = 0.01
    step(one, first, 3)
    step(other, second, 3)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    fresh = network(one.state_dict())
    third = build_optimizer([fresh.parameters()], settings, 0.01)
    for encoder, optimizer in ((one, first), (fresh, third)):
        step(encoder, optimizer, 4)
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), fresh.parameters(), strict=True))


@pytest.fixture
def parent(tmp_path: Path, data: Path) -> Path:
    """Return the folder of a pretraining of SMALL."""
    return train(tmp_path / "parent", data)


def test_the_first_step_starts_from_the_parents_weights_and_state_and_the_loss_goes_on_falling(
    tmp_path: Path, data: Path, parent: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found: list[dict[str, Any]] = []

    def noted(module: SimCLR, batch: tuple[torch.Tensor, ...], batch_idx: int) -> torch.Tensor:
        optimizer = module.trainer.optimizers[0]
        write_optimizer(tmp_path / "state", module.encoder, optimizer)
        weights = {name: weight.clone() for name, weight in module.encoder.state_dict().items()}
        rate = optimizer.param_groups[0]["lr"]
        rows = batch[0].tolist()
        found.append({"state": load_file(tmp_path / "state"), "weights": weights, "rate": rate, "rows": rows})
        return training_step(module, batch, batch_idx)

    def drawn(seed: int, epoch: int, indices: torch.Tensor, views: int) -> torch.Tensor:
        epochs.add(epoch)
        return keys(seed, epoch, indices, views)

    epochs, keys = set[int](), random_numbers.keys
    monkeypatch.setattr(random_numbers, "keys", drawn)
    training_step = SimCLR.training_step
    monkeypatch.setattr(SimCLR, "training_step", noted)
    before = checksums(parent)
    with caplog.at_level("INFO"):
        child = go_on(tmp_path / "child", data, parent, continuing(SMALL, epochs=2, warmup_epochs=1))
    assert "kept for `continue`: the optimizer's state, optimizer.safetensors, 0." in caplog.text
    assert checksums(parent) == before, "a finished result stays as it is"
    first = found[0]
    state, weights = load_file(parent / OPTIMIZER), read_candidate(parent / "last.ckpt")[0].weights
    assert first["state"].keys() == state.keys() and "projection_head.0.weight.exp_avg_sq" in state
    assert all(torch.equal(first["state"][name], state[name]) for name in state)
    for start in (first["weights"], read_candidate(child / "initial.ckpt")[0].weights):
        assert start.keys() == weights.keys() and all(torch.equal(start[name], weights[name]) for name in weights)
    rates = [one["rate"] for one in found]
    assert rates[0] == SMALL.learning_rate / 5 and max(rates) == SMALL.learning_rate and rates[-1] < rates[5]
    at_epoch_5 = GlobalBatches(200, 40, 0, lambda: 4 * 5)
    assert first["rows"] == next(iter(at_epoch_5)).tolist(), "no batch of the parent's is repeated"
    assert epochs == {-1, 4, 5}, "neither are its views; those of the hold-out are the same"
    losses = [[float(row["loss"]) for row in history(folder) if row["loss"]] for folder in (parent, child)]
    assert losses[1][0] < losses[0][1] and losses[1][-1] < losses[0][-1]


def test_a_child_of_a_child_counts_the_epochs_of_both(tmp_path: Path, data: Path) -> None:
    short = SMALL.model_copy(update={"epochs": 1})
    second = continuing(short, temperature=0.1)
    third = continuing(second)
    first = train(tmp_path / "first", data, short)
    child = go_on(tmp_path / "second", data, first, second)
    grandchild = go_on(tmp_path / "third", data, child, third)
    assert fitted_to(200, third).epochs_before == 2
    assert read_json(grandchild / "run.json")["settings"]["parent"]["parent"]["epochs"] == 1
    rows = [history(folder) for folder in (child, grandchild)]
    assert rows[0][-1]["validate_loss"] == rows[1][0]["validate_loss"], "both judge with the same settings"
    assert [row["file"] for row in read_table(grandchild / "checkpoints.csv")][-2:] == ["initial.ckpt", "last.ckpt"]


def test_a_damaged_end_is_named(tmp_path: Path, data: Path, parent: Path) -> None:
    for name in (OPTIMIZER, "last.ckpt", "run.json"):
        damaged = Path(shutil.copytree(parent, tmp_path / f"damaged {name}"))
        content = (damaged / name).read_bytes()
        (damaged / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(UserError, match=f"{name} is damaged .*: delete its folder and run pretrain again"):
            go_on(tmp_path / "child", data, damaged, continuing(SMALL))
    (parent / OPTIMIZER).unlink()
    with pytest.raises(UserError, match="optimizer.safetensors does not exist: run pretrain again"):
        go_on(tmp_path / "child", data, parent, continuing(SMALL))
    assert not (tmp_path / "child").exists()


def test_an_end_of_another_pretraining_is_refused_with_what_differs(
    tmp_path: Path, data: Path, parent: Path, write_packed: Callable[..., Path]
) -> None:
    def refused(settings: PretrainSettings, folder: Path | None = parent, data: Path = data, seed: int = 0) -> str:
        with pytest.raises(UserError) as error:
            go_on(tmp_path / "child", data, folder, settings, seed)  # type: ignore[arg-type]
        return str(error.value)

    assert "is a pretraining on other images" in refused(continuing(SMALL), data=write_packed(name="other"))
    assert "is a pretraining from seed 0: continue it with that seed" in refused(continuing(SMALL), seed=1)
    longer = SMALL.model_copy(update={"epochs": 5})
    assert "was trained with another value of epochs" in refused(continuing(longer))
    head = ProjectionHead(hidden_size=8, output_size=8)
    assert refused(continuing(SMALL, projection_head=head)).startswith(f"projection_head: {parent} ends with ")
    assert refused(continuing(SMALL, encoder="resnet18")).startswith(f"encoder: {parent} ends with tests.own_encoders")
    for settings, folder in ((SMALL, parent), (continuing(SMALL), None)):
        assert "by both --parent and `parent` in the settings" in refused(settings, folder)
