"""What a step refuses is what `check` refuses before any training, in the same words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from simclr_steps.files import read_json, write_json
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware
from simclr_steps.settings.demands import Demands
from simclr_steps.settings.finetuned import FinetunedSettings
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.settings.selection import SelectionSettings
from simclr_steps.settings.umap import UmapOfDataset
from simclr_steps.steps.check import check
from simclr_steps.steps.finetune import finetune
from simclr_steps.steps.pretrain import pretrain
from simclr_steps.steps.select import select
from simclr_steps.steps.umap import umap
from tests.unit.conftest import WriteEncoder, WritePacked, digits

CPU = Hardware(gpus=0)
MODEST = {"pretrains": {}, "criterion": "last", "finetunes": {}, "drawn": ["test"], "supervised": False}
UNLABELED = digits(60)[0], np.full(60, -1, dtype=np.int64)


def trained(**settings: Any) -> Callable[..., None]:
    def run(data: Path, folder: Path, encoder: Path) -> None:
        pretrain(
            PretrainSettings(**settings), data=data, seed=0, out=folder / "out", work=folder / "work", hardware=CPU
        )

    return run


def selected(criterion: str) -> Callable[..., None]:
    def run(data: Path, folder: Path, encoder: Path) -> None:
        settings = SelectionSettings.model_validate({"criterion": criterion})
        select(settings, candidates=folder / "pretrain", data=data, out=folder / "out", hardware=CPU)

    return run


def finetuned(**settings: Any) -> Callable[..., None]:
    def run(data: Path, folder: Path, encoder: Path) -> None:
        places: dict[str, Any] = {"data": data, "out": folder / "out", "work": folder / "work"}
        finetune(FinetunedSettings(**settings), encoder=encoder, seed=0, hardware=CPU, **places)

    return run


def drawn(data: Path, folder: Path, encoder: Path) -> None:
    """Draw the features that gather would write of a test split without labels."""
    features = folder / "features"
    described = read_json(data / "dataset.json")
    write_json(features / "run.json", {"split": "test", "run": {"data_hash": described["pixel_hash"]}})
    rows = {"row": range(60), "source": "", "label": pd.Series([pd.NA] * 60, dtype="Int64"), "class": None}
    pd.DataFrame(rows).to_parquet(features / "rows.parquet", index=False)
    np.save(features / "backbone.npy", np.zeros((60, 8), dtype=np.float32))
    umap(UmapOfDataset(supervised=True), features=[features], data=data, out=folder / "out")


@pytest.mark.parametrize(
    ("splits", "demands", "block", "step"),
    [
        ({}, {"pretrains": {"large": {"global_batch_size": 256}}}, "large: ", trained(global_batch_size=256)),
        ({"validation": digits(1)}, {"criterion": "validate_loss"}, "", selected("validate_loss")),
        ({"validation": digits(1)}, {"criterion": "rankme"}, "", selected("rankme")),
        ({"validation": UNLABELED}, {"criterion": "knn"}, "", selected("knn")),
        (
            {"train": UNLABELED},
            {"finetunes": {"few": {"labels": 10, "draws": 3, "keep": "last"}}},
            "finetunes.few: ",
            finetuned(),
        ),
        (
            {},
            {"finetunes": {"few": {"labels": 9, "draws": 3, "keep": "last"}}},
            "finetunes.few.",
            finetuned(labels=9, epochs=1),
        ),
        (
            {},
            {"finetunes": {"few": {"labels": {"groups": 4}, "draws": 3, "keep": "last"}}},
            "finetunes.few.",
            finetuned(labels={"groups": 4}, epochs=1),
        ),
        (
            {"validation": UNLABELED},
            {"finetunes": {"few": {"labels": 10, "draws": 3, "keep": "best"}}},
            "finetunes.few.",
            finetuned(keep="best"),
        ),
        ({"test": UNLABELED}, {"supervised": True}, "", drawn),
    ],
)
def test_check_says_what_the_step_would_say(
    splits: dict[str, Any],
    demands: dict[str, Any],
    block: str,
    step: Callable[..., None],
    tmp_path: Path,
    write_packed: WritePacked,
    write_encoder: WriteEncoder,
) -> None:
    whole = {"train": digits(200), "validation": digits(60, 200), "test": digits(60, 260), "unlabeled": digits(0)}
    data = write_packed(whole | splits)
    with pytest.raises(UserError) as before:
        check(Demands.model_validate(MODEST | demands), data=data)
    with pytest.raises(UserError) as during:
        step(data, tmp_path, write_encoder())
    assert str(before.value) == f"{block}{during.value}"
    assert not (tmp_path / "out").exists()


# Of four classes; two groups may have them all, or may not, as a draw will have it.
MEMBERS = {"a": (0, 1), "c": (2, 3), "d": (0,), "b": (2,)}
LABELED = [(group, label) for group, labels in MEMBERS.items() for label in labels for _ in range(5)]


def test_groups_that_lack_a_class_in_any_draw_are_refused_before_any_training(
    tmp_path: Path, write_packed: WritePacked, write_encoder: WriteEncoder
) -> None:
    labels = np.array([label for _, label in LABELED])
    whole = {name: digits(0) for name in ("validation", "test", "unlabeled")}
    groups = {"train": [group for group, _ in LABELED], **{name: [] for name in whole}}
    data = write_packed({"train": (digits(len(LABELED))[0], labels), **whole}, groups=groups)

    def ask(count: int, draws: int) -> None:
        few = {"labels": {"groups": count}, "draws": draws, "keep": "last"}
        check(Demands.model_validate(MODEST | {"finetunes": {"few": few}, "drawn": ["train"]}), data=data)

    ask(2, draws=1)
    ask(4, draws=6)
    for count, draws in ((1, 1), (2, 6)):
        with pytest.raises(UserError, match=r"takes groups that lack some of the 4 classes: use more$") as before:
            ask(count, draws)
        with pytest.raises(UserError) as during:
            finetuned(labels={"groups": count}, draws=draws, epochs=1)(data, tmp_path, write_encoder())
        assert str(before.value) == f"finetunes.few.{during.value}"
        assert not (tmp_path / "work").exists()
