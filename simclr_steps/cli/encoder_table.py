"""The commands that put a trained encoder to use, as entries of the table."""

from __future__ import annotations

from simclr_steps.cli.options import ANY_ENCODER, TRUST, Option, Step, out

OF_ENCODERS = (
    Step(
        "export",
        "write an encoder as ONNX, which runs without torch, or as a folder that timm loads",
        (
            ANY_ENCODER,
            Option(
                "--format",
                "kind",
                {"choices": ("onnx", "timm"), "default": "onnx", "help": "what to write (default: %(default)s)"},
            ),
            TRUST,
            out(
                "ONNX file to write; it maps images, N × H × W × C, to float32 features, N × D; or the folder for timm"
            ),
        ),
    ),
)
