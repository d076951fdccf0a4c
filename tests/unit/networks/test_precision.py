"""The number format is what the hardware is good at, and fp32 is fp32."""

from __future__ import annotations

import pytest
import torch

from simclr_steps.networks.precision import allow_tf32, ieee_fp32, resolve_precision

CPU = torch.device("cpu")


def test_auto_is_fp32_on_a_cpu_whose_bf16_spoils_some_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True, "amx_bf16": True})
    assert resolve_precision("auto", gpu=False) == "fp32"
    assert resolve_precision("bf16", gpu=False) == "bf16"


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_bf16_on_a_gpu_that_does_not_emulate_it(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation or has_bf16)
    assert resolve_precision("auto", gpu=True) == expected


def test_features_are_in_full_fp32_inside_a_training_that_is_not() -> None:
    a, b = torch.rand(2, 64, 64)
    allow_tf32("tf32")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with ieee_fp32(CPU):
            inside = a @ b
            assert not torch.backends.cudnn.allow_tf32
        assert (a @ b).dtype is torch.bfloat16
    assert torch.backends.cudnn.allow_tf32
    assert torch.equal(inside, a @ b)


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "least", "most"), [("fp32", 0.0, 1e-6), ("tf32", 1e-5, 1e-3)])
def test_convolution_on_a_gpu_is_as_exact_as_its_precision(precision: str, least: float, most: float) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(8, 64, 16, 16), torch.randn(64, 64, 3, 3)
    exact = torch.nn.functional.conv2d(x.double(), weight.double())
    allow_tf32(precision)
    found = torch.nn.functional.conv2d(x.cuda(), weight.cuda()).cpu()
    assert least <= float((found - exact).norm() / exact.norm()) < most
