"""What torch.compile makes of the views and the network compiles for an H100; no GPU is needed to see that."""

from __future__ import annotations

from multiprocessing.connection import Connection

import pytest

from tests.forked import SERVER

pytest.importorskip("triton", reason="needs Triton, which torch brings where it supports GPUs")


def assert_compile(cases: list[tuple[str, ...]], least: int) -> None:
    """Assert that all kernels of each case compile, and that each case has a number of them."""
    receiver, sender = SERVER.Pipe(duplex=False)
    process = SERVER.Process(target=_compile, args=(sender, cases))  # all of which then believes in the stand-in
    process.start()
    sender.close()
    found: list[dict[str, str | None]] = receiver.recv()  # raises EOFError where the process failed, which has said why
    process.join()
    for case, errors in zip(cases, found, strict=True):
        assert len(errors) >= least, case
        assert {name: error for name, error in errors.items() if error} == {}, case


def _compile(sender: Connection, cases: list[tuple[str, ...]]) -> None:
    from tests.gpu_codegen import compiled

    sender.send(compiled(cases))


@pytest.mark.slow(60)
def test_views_of_every_preset_compile_for_a_gpu() -> None:
    presets = [("digits", "32", "1"), ("color", "32", "3"), ("photos", "224", "3"), ("microscopy", "32", "5")]
    assert_compile([("views", *preset) for preset in presets], least=10)


@pytest.mark.slow(100)
def test_forward_and_backward_pass_of_a_resnet_compile_for_a_gpu() -> None:
    assert_compile([("network", "32", "3")], least=50)
