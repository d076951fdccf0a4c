"""The README of an encoder that is handed on: how to use it, what it was trained on and how, and how good it is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from simclr_steps.data.splits import JUDGED
from simclr_steps.files import checksum, read_json
from simclr_steps.networks.architecture import Architecture
from simclr_steps.networks.encoders import Classifier, Encoder
from simclr_steps.settings.image_format import LIMITS_OF_8_BITS, counted_channels
from simclr_steps.settings.written import listed, named
from simclr_steps.summary.intervals import spread_of
from simclr_steps.summary.run_results import groups_of

_FIRST = "library_name: timm"
_CLASSES = 20  # that are listed
_NAMED_BY = {
    "folder": "as its folders or its table name them",
    "arrays": "as its arrays or the config name them",
}
_PUBLISHERS = {"torchvision": "torchvision", "digits": "scikit-learn"}
_PROBES = (("probe", "linear probe"), ("probe_on_views", "linear probe, trained on views"))
_SPREAD = (
    "In %; of several draws of labels, whose number is in parentheses, mean ± sample standard deviation; in brackets, "
    "the 95 % interval for the number of judged {}."
)


def model_card(network: Encoder | Classifier, encoder: Path, weights: Path) -> str:
    """Return the text, in Markdown, of an encoder's file and the file of its weights.

    Training, choice and accuracies are those of the folders beside that of the encoder, where they are the workflow's.
    """
    architecture, run = network.architecture, encoder.parent.parent
    sections = {
        "Use": _use(network),
        "Data": _data(architecture, encoder, run),
        "Protocol": _of_classifier(network, encoder) if isinstance(network, Classifier) else _protocol(encoder, run),
        "Accuracy": _accuracies(run),
        "License": _license(architecture),
        "Checksums": f"SHA-256 of `{weights.name}`: `{checksum(weights)}`\n\n"
        f"SHA-256 of the encoder that it was made from: `{checksum(encoder)}`",
    }
    body = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in sections.items())
    tags = ["timm", "image-feature-extraction", *([] if isinstance(network, Classifier) else ["simclr"])]
    front = [_FIRST, f"tags: [{', '.join(tags)}]"]
    if architecture.started_from and architecture.started_from.license:
        front.append(f"license: {json.dumps(architecture.started_from.license.lower())}")
    front_matter = "\n".join(front)
    how = "trained on labels" if isinstance(network, Classifier) else "trained with SimCLR"
    return f"---\n{front_matter}\n---\n\n# {architecture.encoder}, {how}\n\n{body}\n"


def is_model_card(text: str) -> bool:
    """Return whether a text is a model card as `model_card` writes it, even if it was edited."""
    return text.startswith(f"---\n{_FIRST}") and "## Checksums" in text


def _use(network: Encoder | Classifier) -> str:
    form, (height, width) = network.architecture.trained_on, network.architecture.image_size
    if all(limits == LIMITS_OF_8_BITS for limits in form.value_range):
        scaling = "images = images / 255\n"
    else:
        low, high = (list(limits) for limits in zip(*form.value_range, strict=True))
        scaling = (
            f"low, high = torch.tensor({low})[:, None, None], torch.tensor({high})[:, None, None]\n"
            "images = ((images - low) / (high - low)).clip(0, 1)\n"
        )
    shape = f"N × {form.channels} × {height} × {width}"
    return (
        "```python\n"
        "import timm, torch\n\n"
        'network = timm.create_model("local-dir:FOLDER", pretrained=True).eval()\n'
        f"{scaling}"
        'mean, std = (torch.tensor(network.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))\n'
        "features = network((images - mean) / std)\n"
        "```\n\n"
        f"`images` are {shape}, float32, with the values of their files ({form.dtype}); features are "
        f"N × {network.feature_size}. `num_classes=…` adds a new classifier, `features_only=True` gives maps."
    )


def _data(architecture: Architecture, encoder: Path, run: Path) -> str:
    form = architecture.trained_on
    names = f", {_code(json.dumps(form.channel_names, ensure_ascii=False))}" if form.channel_names else ""
    ranges = ", ".join(f"{low:g} to {high:g}" for low, high in form.value_range)
    lines = [
        f"Images of {form.height} × {form.width} pixels with {counted_channels(form.channels)}{names}; values of files "
        f"are {form.dtype}, of which the range of each channel was read as 0 to 1: {ranges}."
    ]
    if form.mean:
        mean, std = (", ".join(f"{value:.4f}" for value in values) for values in (form.mean, form.std))
        lines.append(f"On this scale their mean is {mean} and their standard deviation {std}.")
    trained = _beside(run / "pretrain" / "run.json")
    if trained:
        lines.append(f"Hash of the images: `{trained['data_hash']}`.")
    finetuned = _beside(encoder.parent / "metrics.json") or {}
    if (record := trained or finetuned.get("run")) and (origin := _origin(encoder, record["data_hash"])):
        lines.append(origin)
    return "\n".join(lines)


def _origin(encoder: Path, data_hash: str) -> str | None:
    """Return where the images and labels of an encoder in a folder of results came from.

    None where the data set of this hash is no longer beside the results. The path of a user's own images is private.
    """
    file = encoder.absolute()
    for results in (folder for folder in file.parents if folder.name == "results"):
        name = file.relative_to(results).parts[0]
        found = _beside(results.parent / "resources" / name / "dataset.json")
        if found and data_hash in (found["pixel_hash"], found["content_hash"]):
            source, splits = found["source"], found["splits"]
            images, labeled = splits["train"]["images"] + splits["unlabeled"]["images"], splits["train"]["labeled"]
            if publisher := _PUBLISHERS.get(source["source"]):
                begin, named_by = f"{source['name']} of {publisher}", f"as {publisher} names them"
            else:
                begin, named_by = _name(Path(source["path"]).name), _NAMED_BY[source["source"]]
            classes = f"; classes, {named_by}: {listed(found['classes'], _CLASSES, _name)}"
            return (
                f"The data set `{name}` is from {begin}: {images:,} images to train on, {labeled:,} of them with a "
                f"label{classes if found['classes'] else ''}."
            )
    return None


def _name(name: str) -> str:
    return _code(named(name))


def _code(text: str) -> str:
    """Return text as Markdown that shows it as it is, whatever it holds."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def _protocol(encoder: Path, run: Path) -> str:
    trained, selected = _beside(run / "pretrain" / "run.json"), _beside(encoder.parent / "selection.json")
    if not trained or not selected:
        return "Pretrained with SimCLR by simclr-workflow; the records of the training were not beside the encoder."
    asked, fitted = trained["settings"], trained.get("fitted") or {}
    facts = {
        "epochs": fitted.get("epochs", asked["epochs"]),
        "global_batch_size": fitted.get("global_batch_size", asked["global_batch_size"]),
        **{name: asked[name] for name in ("optimizer", "learning_rate", "temperature", "init")},
        "seed": trained["seed"],
        "augmentation": asked["augmentation"],
    }
    rows = "\n".join(f"| {name} | `{json.dumps(value)}` |" for name, value in facts.items())
    chosen = (
        f"The encoder is that of epoch {selected['epoch']}, as {selected['why']} (criterion {selected['criterion']})."
    )
    verdict = f"\n\n**The training {trained['verdict']}.**" if trained.get("verdict") else ""
    return f"| setting | value |\n|---|---|\n{rows}\n\n{chosen}{verdict}"


def _of_classifier(network: Classifier, model: Path) -> str:
    starts = {
        "pretrained": "an encoder trained with SimCLR",
        "random": "random weights",
        "published": "published weights",
    }
    metrics = _beside(model.parent / "metrics.json")
    start = starts[metrics["init"]] if metrics else "weights of which there was no record beside it"
    return (
        f"The backbone of a classifier of {len(network.class_names)} classes, which simclr-workflow trained on their "
        f"labels from {start}."
    )


def _accuracies(run: Path) -> str:
    """Return a table of what evaluate measured with the features, frozen, on each split."""
    knn, linear = (_beside(run / "evaluate" / f"{name}.json") or {} for name in ("knn", "linear"))
    images = {split: knn[split].get("images") for split in JUDGED if split in knn}
    measured = [(f"kNN, {knn['neighbors']} neighbors", split, knn[split]) for split in images]
    for key, name in _PROBES:
        of_groups = linear.get(f"{key}_by_group") or {}
        for split, accuracy in (linear.get(key) or {}).items():
            measured.append((name, split, {"accuracy": accuracy, "by_group": of_groups.get(split)}))
    for row in sorted(linear.get("results", []), key=lambda row: row["labels"]):
        measured.append((f"logistic regression, {row['labels']} labels", row["split"], row))
    if not measured:
        return "Not measured, or the results were not beside the encoder."
    rows = [
        (name, split, one["accuracy"], images.get(split), groups_of(one, "accuracy")) for name, split, one in measured
    ]
    table = pd.DataFrame(rows, columns=["name", "split", "value", "images", "by_group"])
    cells = {key: spread_of(part) for key, part in table.groupby(["name", "split"])}
    splits = [split for split in JUDGED if split in set(table["split"])]
    heads = [f"{split} ({images[split]:,} images)" if images.get(split) else split for split in splits]
    lines = [f"| frozen features | {' | '.join(heads)} |", f"|---|{'---|' * len(splits)}"]
    for name in table["name"].unique():
        of_splits = (cells[name, split].counted() if (name, split) in cells else "" for split in splits)
        lines.append(f"| {name} | {' | '.join(of_splits)} |")
    what = "groups" if any(one.by_group for one in cells.values()) else "images"
    return f"{_SPREAD.format(what)}\n\n" + "\n".join(lines)


def _license(architecture: Architecture) -> str:
    start = architecture.started_from
    if start is None:
        return "Trained from random weights: choose a license that the images permit."
    known = f"their license is {start.license}" if start.license else "their license is not known"
    return (
        f"The training started from the weights `{start.name}` (SHA-256 `{start.sha256}`); {known}. "
        "What the images permit holds as well."
    )


def _beside(path: Path) -> Any:
    """Return the content of a result's JSON, None where there is none."""
    return read_json(path) if path.exists() else None
