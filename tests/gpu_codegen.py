"""Compile for an H100, on a machine without a GPU, the kernels that torch.compile makes of this project's functions.

Inductor generates Triton code for a stand-in of the device, and Triton compiles it to machine code; nothing is run.
"""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import triton
from torch import Tensor
from torch._dynamo import device_interface
from torch._inductor import debug
from torch._inductor.decomposition import select_decomp_table
from torch._inductor.graph import GraphLowering
from torch._inductor.virtualized import V
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from simclr_steps.methods.views import random_views
from simclr_steps.networks.architecture import Architecture
from simclr_steps.networks.encoders import Encoder
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.network import ProjectionHead

TARGET = GPUTarget("cuda", 90, 32)
BATCH = 512
H100 = SimpleNamespace(
    major=9,
    minor=0,
    multi_processor_count=132,
    regs_per_multiprocessor=65536,
    max_threads_per_multi_processor=2048,
    max_threads_per_block=1024,
    warp_size=32,
    name="NVIDIA H100",
    total_memory=80 << 30,
    gcnArchName="",
    shared_memory_per_block_optin=232448,
    shared_memory_per_block=49152,
    L2_cache_size=50 << 20,
)


class Driver:
    """What Triton and Inductor ask a GPU's driver."""

    def get_current_target(self) -> GPUTarget:
        return TARGET

    def get_current_device(self) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cuda", 0)

    def is_active(self) -> bool:
        return True


def stand_in_for_the_device() -> None:
    """Let torch and Triton believe that there is one H100, for the rest of this process."""
    cuda: Any = torch.cuda
    cuda.is_available, cuda.device_count, cuda.current_device = lambda: True, lambda: 1, lambda: 0
    cuda.get_device_properties = cuda._get_device_properties = lambda device=None: H100
    cuda.get_device_capability = lambda device=None: (9, 0)
    cuda._lazy_init = cuda._initialized = lambda: None
    torch._C._cuda_init = lambda: None
    interface: Any = device_interface.CudaInterface
    for name in ("current_device", "device_count", "get_raw_stream", "get_compute_capability", "is_available"):
        value = {"device_count": 1, "get_compute_capability": 90, "is_available": True}.get(name, 0)
        setattr(interface, name, staticmethod(lambda *_, value=value: value))
    interface.Worker.current_device = staticmethod(lambda: 0)
    interface.Worker.get_device_properties = staticmethod(lambda device=None: H100)
    triton.runtime.driver.set_active(Driver())


@dataclass(frozen=True)
class Traced:
    """The operations of a function of fake CUDA tensors, the tensors that it was traced with, and their mode."""

    graph: torch.fx.GraphModule
    tensors: Sequence[Tensor]
    fake: FakeTensorMode

    def generate(self) -> str:
        """Return the source that Inductor makes of the operations; the stand-in has to be there."""
        lowering = GraphLowering(self.graph, example_inputs=list(self.tensors), shape_env=None)
        with V.set_debug_handler(debug.DebugContext()), V.set_fake_mode(self.fake), V.set_graph_handler(lowering):
            lowering.run(*self.tensors)
            code, _ = lowering.codegen()
        return str(getattr(code, "value", code))


def trace(function: Callable[..., Any], arguments: Sequence[Any], fake: FakeTensorMode) -> Traced:
    """Trace a function as torch.compile does, without operations in place; there may be no stand-in yet.

    With it, torch would look for the device.
    """
    tensors, structure = tree_flatten(arguments)
    with fake:
        graph = make_fx(
            torch.func.functionalize(lambda *tensors: function(*tree_unflatten(tensors, structure))),
            decomposition_table=select_decomp_table(),
            tracing_mode="real",
        )(*tensors)
    return Traced(graph, tensors, fake)


def compile_kernels(source: str) -> dict[str, str | None]:
    """Compile the Triton kernels of generated source: the error of each, None where it compiles."""
    kernels = re.findall(r"async_compile\.triton\('([^']+)', '''(.*?)'''", source, re.DOTALL)
    with tempfile.TemporaryDirectory() as folder:
        return {name: _error(name, body, Path(folder)) for name, body in kernels}


def _error(name: str, body: str, folder: Path) -> str | None:
    """Compile one kernel with fixed block sizes, for which Inductor would try several."""
    meta = re.search(r"'signature': (\{.*?\}), 'device'", body, re.DOTALL)
    assert meta, f"{name} has no signature"
    signature = dict(ast.literal_eval(meta[1]))
    body = body.replace("triton_helpers.set_driver_to_gpu()", "")
    body = re.sub(r"@triton_heuristics\..*?@triton\.jit", "@triton.jit", body, flags=re.DOTALL)
    file = folder / f"{name}.py"
    file.write_text(body)
    spec = spec_from_file_location(name, file)
    assert spec and spec.loader
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        kernel = getattr(module, name)
        blocks = {
            "XBLOCK": 1 if "_per_" in name or "_red_" in name else 128,
            "YBLOCK": 32,
            "ZBLOCK": 1,
            "R0_BLOCK": 1024,
        }
        signature |= {argument: "constexpr" for argument in kernel.arg_names if argument in blocks}
        constants = {
            (place,): blocks[argument] for place, argument in enumerate(kernel.arg_names) if argument in blocks
        }
        triton.compile(ASTSource(fn=kernel, signature=signature, constexprs=constants), target=TARGET)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[-300:]}"
    return None


def views(preset: str, side: int, channels: int) -> Traced:
    """Trace the views of a batch."""
    settings, fake = Augmentation(preset=preset), FakeTensorMode()  # type: ignore[arg-type]
    with fake:
        dtype = torch.uint8 if channels in (1, 3) else torch.uint16  # as microscopes give them
        images = torch.empty(BATCH, side, side, channels, dtype=dtype, device="cuda")
        key = torch.empty(2, BATCH, dtype=torch.int64, device="cuda")
    return trace(lambda images, key: random_views(images, key, settings), (images, key), fake)


def network(side: int, channels: int) -> Traced:
    """Trace a small-stem ResNet-18's forward and backward pass over two views of a batch, in bf16."""
    architecture = Architecture(
        encoder="resnet18", stem="small", channels=channels, image_size=(side, side), projection_head=ProjectionHead()
    )
    fake = FakeTensorMode()
    with fake:
        encoder = Encoder(architecture)
        x = _channels_last(torch.empty(2 * BATCH, channels, side, side))
        weights = {name: _channels_last(value.detach()) for name, value in encoder.named_parameters()}
        buffers = dict(encoder.named_buffers())

    def loss(weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            _, projections = torch.func.functional_call(encoder, (weights, buffers), (x,))
        total: Tensor = projections.float().square().sum()
        return total

    def gradients(weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> list[Tensor]:
        moved = {name: value.clone() for name, value in buffers.items()}
        return list(torch.func.grad(loss)(weights, moved, x).values())

    # Without a GPU there is no backward pass of its tensors, so the CPU's is traced and moved.
    return _on_gpu(trace(gradients, (weights, buffers, x), fake))


def _on_gpu(traced: Traced) -> Traced:
    """Return operations of fake CPU tensors as those of fake CUDA tensors."""

    def move(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="cuda")

    with traced.fake:
        for node in traced.graph.graph.nodes:
            if "val" in node.meta:
                node.meta["val"] = tree_map(move, node.meta["val"])
            if "device" in node.kwargs:
                node.kwargs = {**node.kwargs, "device": torch.device("cuda", 0)}
        tensors = [move(tensor) for tensor in traced.tensors]
    traced.graph.recompile()
    return replace(traced, tensors=tensors)


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def compiled(cases: Sequence[tuple[str, ...]]) -> list[dict[str, str | None]]:
    """Return for each case the error of each kernel, None where it compiles; afterwards torch believes in the stand-in.

    A case is `views`, PRESET, SIDE, CHANNELS or `network`, SIDE, CHANNELS.
    """
    traced = [_traced(*case) for case in cases]
    stand_in_for_the_device()
    return [compile_kernels(each.generate()) for each in traced]


def _traced(kind: str, *arguments: str) -> Traced:
    if kind == "network":
        return network(*map(int, arguments))
    preset, *shape = arguments
    return views(preset, *map(int, shape))
