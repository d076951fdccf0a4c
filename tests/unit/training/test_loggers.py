"""Loggers get what history.csv holds, each row once, whatever happened to the training."""

from __future__ import annotations

import logging
import re
import shutil
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.loggers import Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from simclr_steps.files import read_table
from simclr_steps.machine.errors import UserError
from simclr_steps.machine.options import Hardware, Saving
from simclr_steps.methods.monitors import HoldOutMonitor
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.steps.pretrain import pretrain
from simclr_steps.training.history import History
from simclr_steps.training.loggers import Loggers
from simclr_steps.training.module import Trained
from tests.unit.conftest import digits

SETTINGS = PretrainSettings(
    encoder="tests.own_encoders:without_batch_norm",
    epochs=3,
    global_batch_size=32,
    monitor_epochs=2,
    projection_head=ProjectionHead(hidden_size=8, output_size=4),
)


LOGGED: list[tuple[str, str, Any]] = []  # what own loggers got: their version, the call, what was passed


class Recording(Logger):
    def __init__(self, name: str, version: str) -> None:
        super().__init__()
        self._name, self._version = name, version

    name = property(lambda self: self._name)
    version = property(lambda self: self._version)

    def log_hyperparams(self, params: Any) -> None:
        LOGGED.append((self._version, "hyperparameters", params))

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        LOGGED.append((self._version, "metrics", {"step": step, **metrics}))

    def finalize(self, status: str) -> None:
        LOGGED.append((self._version, "end", status))


class Offline(Recording):
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        raise ConnectionError("no network")


def no_logger(name: str, version: str) -> str:
    return name


@pytest.fixture
def train(tmp_path: Path, write_packed: Callable[..., Path]) -> Callable[..., Path]:
    data = write_packed({"train": digits(96), "validation": digits(20, 100), "unlabeled": digits(0)})

    def run(settings: PretrainSettings = SETTINGS, logger: str | None = None) -> Path:
        out, work = tmp_path / "out", tmp_path / "work"
        hardware, saving = Hardware(gpus=0), Saving(every_epochs=1)
        pretrain(settings, data=data, seed=0, out=out, work=work, logger=logger, hardware=hardware, saving=saving)
        return out

    return run


def shown(folder: Path) -> dict[str, dict[int, list[float]]]:
    """Return the values of each curve by step."""
    events = EventAccumulator(str(folder)).Reload()
    curves: dict[str, dict[int, list[float]]] = {}
    for name in events.Tags()["scalars"]:
        for event in events.Scalars(name):
            curves.setdefault(name, {}).setdefault(event.step, []).append(event.value)
    return curves


def test_stopped_and_resumed_training_logs_each_row_once(
    tmp_path: Path, train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, logged = f"{__name__}:Recording", list[Any]()
    monkeypatch.setattr(sys.modules[__name__], "LOGGED", logged)
    measure = HoldOutMonitor.measure
    for measured_before in (1, 1):  # the first time before the first step, then in epoch 2
        calls = count()

        def crash(*arguments: Any, calls: Any = calls, measured_before: int = measured_before) -> Any:
            if next(calls) >= measured_before:
                raise RuntimeError("in an epoch")
            return measure(*arguments)

        with monkeypatch.context() as patched:
            patched.setattr(HoldOutMonitor, "measure", crash)
            with pytest.raises(RuntimeError, match="in an epoch"):
                train(logger=own)
    [work] = (tmp_path / "work").iterdir()
    assert list(shown(work / "tensorboard")["loss"]) == [3, 6]
    live = read_table(work / "csv" / "metrics.csv")
    assert [(row["epoch"], row["step"]) for row in live] == [("0", "0"), ("1", "3"), ("2", "6")]

    out = train(logger=own)
    rows = read_table(out / "history.csv")
    measured = [{k: v for k, v in row.items() if v and k != "seconds"} for row in rows]
    expected: dict[str, dict[int, Any]] = {}
    for row in measured:
        for column in row.keys() - {"step"}:
            expected.setdefault(column, {})[int(row["step"])] = [pytest.approx(float(row[column]), rel=1e-5)]
    assert shown(out / "tensorboard") == expected
    assert list(expected["loss"]) == [3, 6, 9] and list(expected["validate_rankme"]) == [0, 6, 9]
    for before, after in zip(live, rows, strict=False):
        assert all(float(before[k] or "nan") == float(after[k]) for k in after if after[k] and k != "seconds")

    assert [what for _, call, what in logged if call == "end"] == ["failed", "failed", "success"]
    assert [{k: str(v) for k, v in what.items()} for _, call, what in logged if call == "metrics"] == measured
    assert {version for version, *_ in logged} == {work.name}
    assert [what["epochs"] for _, call, what in logged if call == "hyperparameters"] == [3, 3, 3]


def test_tensorboard_has_the_hyperparameters_and_the_time_that_training_took(
    tmp_path: Path, train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = train(SETTINGS.model_copy(update={"epochs": 1}))
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    [start] = [
        content
        for tag, content in events.PluginTagToContent("hparams").items()
        if tag == "_hparams_/session_start_info"
    ]
    assert b"projection_head/hidden_size" in start and b"seed" in start
    assert re.search("^global_batch_size: 32$", (out / "tensorboard" / "hparams.yaml").read_text(), re.MULTILINE)

    module = Unmeasured()
    history = History(module)
    history.rows = [{"epoch": n, "step": n, "loss": 1.0, "seconds": 1000.0 * n} for n in range(3)]
    loggers = Loggers(history, tmp_path, {"seed": 0})
    trainer: Any = SimpleNamespace(is_global_zero=True, global_step=2)
    loggers.on_train_start(trainer, module)
    loggers.on_train_end(trainer, module)
    times = [event.wall_time for event in EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("loss")]
    assert [times[1] - times[0], times[2] - times[1]] == pytest.approx([1000.0, 1000.0], abs=1)


class Unmeasured(Trained):
    def validate(self) -> dict[str, float]:
        return {}


def test_of_several_processes_only_the_first_writes_and_no_other_removes_it(tmp_path: Path) -> None:
    module = Unmeasured()
    history = History(module)
    first, second = (Loggers(history, tmp_path, {"seed": 0}) for _ in range(2))
    ranks: list[tuple[Loggers, Any]] = [
        (loggers, SimpleNamespace(is_global_zero=loggers is first, global_step=0)) for loggers in (first, second)
    ]
    for loggers, trainer in ranks:
        loggers.on_train_start(trainer, module)
    for epoch in (1, 2):
        history.rows.append({"epoch": epoch, "step": epoch, "loss": 1.0, "seconds": 1.0 * epoch})
        for loggers, trainer in ranks:
            loggers.on_train_epoch_end(trainer, module)
    for loggers, trainer in ranks:
        loggers.on_train_end(trainer, module)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2]
    assert len(read_table(tmp_path / "csv/metrics.csv")) == 2


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")  # a traceback, outside of pytest
def test_a_full_disk_is_told_once_and_the_training_goes_on(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = set(threading.enumerate())
    module = Unmeasured()
    history = History(module)
    loggers = Loggers(history, small_disk, {"seed": 0})
    trainer: Any = SimpleNamespace(is_global_zero=True, global_step=0)
    loggers.on_train_start(trainer, module)
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    for epoch in range(1, 200):
        history.rows.append({"epoch": epoch, "step": epoch, "loss": 1.0, "seconds": 0.1})
        loggers.on_train_epoch_end(trainer, module)
    loggers.on_train_end(trainer, module)
    told = sorted(record.getMessage() for record in caplog.records)
    assert told == [
        f"warning: nothing more is logged for {name} (No space left on device)" for name in ("CSV", "TensorBoard")
    ]
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()


def test_without_the_package_training_goes_on_and_says_so_once(
    train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setattr(logging.getLogger("simclr_steps"), "level", logging.INFO)
    out = train(SETTINGS.model_copy(update={"epochs": 1}))
    assert (out / "history.csv").exists() and not (out / "tensorboard").exists()
    said = "nothing is logged for TensorBoard because its package is not installed"
    assert [record.getMessage() for record in caplog.records].count(said) == 1


def test_an_own_logger_that_fails_ends_no_training_and_one_that_is_none_stops_at_once(
    train: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    short = SETTINGS.model_copy(update={"epochs": 1})
    with pytest.raises(UserError, match="^--logger: it returned str: return a logger of Lightning"):
        train(short, logger=f"{__name__}:no_logger")
    with pytest.raises(UserError, match=f"^--logger: {__name__}:gone fails .*: fix it"):
        train(short, logger=f"{__name__}:gone")
    out = train(short, logger=f"{__name__}:Offline")
    assert (out / "history.csv").exists()
    told = "warning: nothing more is logged for --logger (ConnectionError: no network)"
    assert [record.getMessage() for record in caplog.records].count(told) == 1
