"""What torch.compile makes of the views and the network compiles for an H100; no GPU is needed to see that."""

from __future__ import annotations

from multiprocessing.connection import Connection

import pytest

from tests.forked import SERVER

pytest.importorskip("triton", reason="needs Triton, which torch brings where it supports GPUs")


def kernels(*case: str) -> dict[str, str | None]:
    """Return the error of each kernel of a case, None where it compiles."""
    receiver, sender = SERVER.Pipe(duplex=False)
    process = SERVER.Process(target=_compile, args=(sender, case))  # all of which then believes in the stand-in
    process.start()
    sender.close()
    found: dict[str, str | None] = receiver.recv()  # raises EOFError where the process failed, which has said why
    process.join()
    return found


def _compile(sender: Connection, case: tuple[str, ...]) -> None:
    from tests.gpu_codegen import compiled

    sender.send(compiled(*case))


# Each preset with each side and each number of channels, and each side with each number: half of all combinations.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "side", "channels"),
    [
        ("digits", "32", "1"),
        ("digits", "224", "3"),
        ("color", "32", "3"),
        ("color", "224", "1"),
        ("photos", "32", "1"),
        ("photos", "224", "3"),
        ("microscopy", "32", "5"),
    ],
)
def test_views_of_every_preset_compile_for_a_gpu(preset: str, side: str, channels: str) -> None:
    assert_compiles("views", preset, side, channels, least=10)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["32", "224"])
def test_forward_and_backward_pass_of_a_resnet_compile_for_a_gpu(side: str) -> None:
    assert_compiles("network", side, "3", least=50)


def assert_compiles(*case: str, least: int) -> None:
    found = kernels(*case)
    assert len(found) >= least
    assert {name: error for name, error in found.items() if error} == {}
