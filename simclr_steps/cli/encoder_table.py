"""The commands that put a trained encoder to use, as entries of the table."""

from __future__ import annotations

from pathlib import Path

from simclr_steps.cli.options import ANY_ENCODER, DECODERS, FOUND, GPUS, NEW_IMAGES, TRUST, Option, Step, out_file, path

OF_ENCODERS = (
    Step(
        "embed",
        "compute features of image files without a data set",
        (
            ANY_ENCODER,
            TRUST,
            NEW_IMAGES,
            out_file("file to write, .parquet, .csv or .npz, with one row per image: path, features"),
            GPUS,
            DECODERS,
        ),
    ),
    Step(
        "classify",
        "classify image files without a data set",
        (
            path("model", "model.safetensors written by finetune"),
            TRUST,
            NEW_IMAGES,
            out_file("file to write, .parquet, .csv or .npz: path, class, its probability, and that of each class"),
            GPUS,
            DECODERS,
        ),
    ),
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
            path(
                "out",
                "ONNX file to write; it maps images, N × H × W × C, to float32 features, N × D; or the folder for timm",
            ),
        ),
    ),
    Step(
        "search",
        "find the images that are most similar to given ones, by their features",
        (
            ANY_ENCODER,
            TRUST,
            path(
                "features",
                "Parquet file written by embed, folder of such, or folder written by gather, for one split or for all",
            ),
            path("data", "folder of packed arrays that gathered features are of, for pictures", required=False),
            Option(
                "--image",
                "image",
                {
                    "type": Path,
                    "action": "append",
                    "required": True,
                    "metavar": "PATH",
                    "help": "image to find similar ones of; give several by repeating this option",
                },
            ),
            FOUND,
            out_file(
                "file to write, .parquet, .csv or .npz: image, rank, cosine, path, features; beside it .html, .csv.json"
            ),
            GPUS,
        ),
    ),
)
