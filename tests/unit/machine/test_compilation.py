"""Only a training that is long enough is compiled, and only where there is a compiler."""

from __future__ import annotations

import shutil

import pytest

from simclr_steps.machine import compilation
from simclr_steps.machine.compilation import compiles
from simclr_steps.machine.errors import UserError


@pytest.mark.parametrize(
    ("choice", "gpu", "steps", "expected"),
    [
        ("auto", True, 12_000, True),
        ("auto", True, 10_000, False),
        ("auto", False, 100_000, False),
        ("always", False, 1, True),
        ("never", True, 100_000, False),
    ],
)
def test_only_a_long_training_on_a_gpu_is_compiled_unasked(
    monkeypatch: pytest.MonkeyPatch, choice: str, gpu: bool, steps: int, expected: bool
) -> None:
    monkeypatch.setattr(compilation, "missing", lambda gpu: None)
    assert compiles(choice, gpu=gpu, steps=steps) is expected


def test_without_a_compiler_auto_says_so_and_always_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with caplog.at_level("INFO"):
        assert not compiles("auto", gpu=True, steps=100_000)
        assert not compiles("auto", gpu=True, steps=100)
    assert caplog.messages == ["training without torch.compile: it needs gcc and Python's header files: install them"]
    with pytest.raises(UserError, match=r"^--compile always: it needs g\+\+ and .*, or leave --compile out$"):
        compiles("always", gpu=False, steps=1)
