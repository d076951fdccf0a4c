"""A compiled encoder trains as the plain one does, and what does not compile is trained plain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch._inductor import config as inductor

from simclr_steps.files import read_table
from simclr_steps.machine import compilation
from simclr_steps.machine.errors import Stopped, UserError
from simclr_steps.machine.options import NORMAL_SAVING, Hardware, Saving
from simclr_steps.methods.candidate_files import read_candidate
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.network import ProjectionHead
from simclr_steps.settings.pretrain import PretrainSettings
from simclr_steps.steps.pretrain import pretrain
from simclr_steps.training import compiled

SETTINGS = PretrainSettings(
    encoder="tests.own_encoders:without_batch_norm",
    epochs=3,
    global_batch_size=40,
    projection_head=ProjectionHead(hidden_size=32, output_size=16),
    augmentation=Augmentation(crop_scale=(0.3, 1.0)),
    precision="fp32",
)


needs_compiler = pytest.mark.skipif(
    compilation.missing(gpu=False) is not None, reason="needs g++ and Python's header files"
)


def test_micro_batches_that_are_compiled_are_equal(tmp_path: Path, write_packed: Callable[..., Path]) -> None:
    uneven = SETTINGS.model_copy(update={"micro_batch_size": 27})
    with pytest.raises(UserError, match="set micro_batch_size to a divisor of 80 instead of 27"):
        train(tmp_path, write_packed(), "always", uneven)


@pytest.mark.slow
@needs_compiler
def test_what_does_not_compile_is_trained_plain_or_refused_in_one_sentence(
    tmp_path: Path,
    write_packed: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = write_packed()
    torch.compiler.reset()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    expected = train(tmp_path / "plain", data, "never")
    with inductor.patch({"cpp.cxx": ("/bin/false",)}):
        with pytest.raises(
            UserError, match=r"^--compile always: torch.compile fails here \(.*\): leave --compile out$"
        ):
            train(tmp_path / "always", data, "always")
        monkeypatch.setattr("simclr_steps.steps.pretrain.compiles", lambda *_, **__: True)  # as for a long one on a GPU
        found = train(tmp_path / "auto", data, "auto")
    assert sum("training without torch.compile, which fails here" in line for line in caplog.messages) == 1
    assert losses(found) == losses(expected)


def test_images_that_cannot_be_read_are_no_failure_of_compiling() -> None:
    class Unreadable(compiled.Compilable):
        def validate(self) -> dict[str, float]:
            return {}

        def compile_parts(self, *, disable: bool = False) -> None:
            pass

        def trial_step(self) -> torch.Tensor:
            raise UserError("train.images.npy was cut short before image 9: run prepare again")

    with pytest.raises(UserError, match="cut short"):
        compiled._error_of_trial(Unreadable())


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("encoder", ["without_batch_norm", "centered"])
def test_compiled_training_stops_goes_on_and_ends_as_the_plain_one(
    tmp_path: Path, write_packed: Callable[..., Path], encoder: str
) -> None:
    from torch._dynamo.utils import counters

    data, settings = write_packed(), SETTINGS.model_copy(update={"encoder": f"tests.own_encoders:{encoder}"})
    torch.compiler.reset()
    plain = train(tmp_path / "plain", data, "never", settings)
    counters.clear()
    with pytest.raises(Stopped):
        train(tmp_path / "compiled", data, "always", settings, Saving(leave_by=0.0))
    found = train(tmp_path / "compiled", data, "always", settings)
    assert counters["stats"]["unique_graphs"] == 1  # neither the trial nor validation nor the monitors add another

    assert losses(found) == pytest.approx(losses(plain), rel=1e-4)
    expected, weights = (read_candidate(out / "last.ckpt")[0].weights for out in (plain, found))
    assert weights.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight, rtol=1e-3, atol=1e-5)


def train(
    folder: Path, data: Path, compile_: str, settings: PretrainSettings = SETTINGS, saving: Saving = NORMAL_SAVING
) -> Path:
    hardware = Hardware(gpus=0, compile=compile_)
    pretrain(settings, data=data, seed=0, out=folder / "out", work=folder / "work", hardware=hardware, saving=saving)
    return folder / "out"


def losses(out: Path) -> list[float]:
    return [float(row["loss"]) for row in read_table(out / "history.csv")[1:]]
