"""The summary as one page that needs nothing but itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment

from simclr_steps.headline import Headline
from simclr_steps.logs import duration
from simclr_steps.run_results import RunResults

_PROTOCOL = {
    "pretrain": (
        "encoder",
        "epochs",
        "global_batch_size",
        "temperature",
        "optimiser",
        "learning_rate",
        "schedule",
        "augmentation",
    ),
    "select": ("criterion",),
    "linear": ("labels", "draws"),
}
_MOST_PICTURED = 12  # pretrainings
_CAPTIONS = {
    "label_efficiency": (
        "Accuracy by number of labels",
        "Where the curve of SimCLR lies above the others, pretraining without labels has replaced labels. Bars are "
        "standard deviations over draws of labels and seeds.",
    ),
    "sweep": (
        "Sweep",
        "What the values of the grid do to the accuracy of the frozen features. Bars are standard deviations over "
        "draws of labels, seeds and, in a grid of several keys, the other keys' values.",
    ),
    "confusion": (
        "Confusion",
        "Of the images of each class (rows), how many % the fine-tuned classifier takes for each class (columns). The "
        "first draw's classifier, all seeds together.",
    ),
    "history": (
        "Pretraining",
        "Loss on the images trained on and on those held out, kNN accuracy on the latter, and the learning rate. Each "
        "seed is a line.",
    ),
}
_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Summary of {{ runs | length }} run{{ "s" if runs | length != 1 }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1, h2, h3 { line-height: 1.2; overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; }
figcaption { font-size: 14px; color: #555; }
@media print { details { display: none; } figure, img, tr { break-inside: avoid; } }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { padding: .25rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #ddd; }
th { border-bottom: 2px solid #888; }
.facts th, .facts td { text-align: left; }
.facts td { white-space: normal; overflow-wrap: anywhere; }
pre { overflow-x: auto; background: #f5f5f5; padding: .5rem; font-size: 13px; }
summary { cursor: pointer; }
</style>
</head>
<body>
<h1>Summary</h1>
<p>{{ runs | length }} run{{ "s" if runs | length != 1 }}: an encoder was pretrained with SimCLR without labels, then
judged by how few labels suffice to classify with it. The test split chose nothing: it was read only to measure what
stands here.</p>
{% for one in headlines %}
<h2>{{ one.title }}</h2>
{% if one.accuracy | length %}
<p>Accuracy on the {{ one.split }} split in %, mean ± standard deviation over draws of labels and seeds.</p>
<div class="wide"><table>
{% for row in one.cells() %}{% set kind = "th" if loop.first else "td" %}
<tr>{% for cell in row %}<{{ kind }}>{{ cell }}</{{ kind }}>{% endfor %}</tr>{% endfor %}
</table></div>
{% else %}<p>No accuracy was measured: that takes labels.</p>{% endif %}
<ul>{% for fact in one.facts %}<li>{{ fact }}</li>{% endfor %}</ul>
{% endfor %}
{% if meanings %}<p>What the columns are:</p>
<ul>{% for line in meanings %}<li>{{ line }}</li>{% endfor %}</ul>{% endif %}
<h2>Protocol</h2>
{% for one in firsts %}{% set protocol = one | protocol %}{% if protocol %}
<h3>{{ one.run.dataset }}, {{ one.run.pretrain }}</h3>
<div class="wide"><table class="facts">
{% for name, value in protocol.items() %}<tr><th>{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}</table></div>
{% endif %}{% endfor %}
{% for one in figures %}
<h2>{{ one.title }}</h2>
<p>{{ one.caption }}</p>
<p class="wide"><img alt="{{ one.title }}" src="{{ one.source }}"></p>
{% endfor %}
{% for one in firsts[:most_pictured] if one.pictures %}
<h2>Pictures of {{ one.run.dataset }}, {{ one.run.pretrain }}, seed {{ one.run.seed }}</h2>
<div class="pictures">{% for text, path in one.pictures.items() %}
<figure><img alt="{{ text }}" src="{{ path | inline }}"><figcaption>{{ text }}.</figcaption></figure>{% endfor %}
</div>
{% endfor %}
<h2>Runs</h2>
{% for one in runs %}
<h3>{{ one.run.dataset }}, {{ one.run.pretrain }}, seed {{ one.run.seed }}</h3>
<ul>{% for line in [one.choice] + one.notes if line %}<li>{{ line }}</li>{% endfor %}</ul>
<div class="wide"><table class="facts">
<tr><th>step</th><th>took</th><th>code</th><th>data</th><th>hardware</th></tr>
{% for stage, record in one.records.items() %}
<tr><td>{{ stage }}</td><td>{{ record.seconds | duration }}</td><td>{{ record.code_hash }}</td>
<td>{{ record.data_hash | string | truncate(16, true, "") }}</td><td>{{ record.hardware | hardware }}</td></tr>
{% endfor %}
</table></div>
<details><summary>Settings, versions, commands and image</summary>
<pre>{{ one.records | pretty }}</pre></details>
{% endfor %}
</body>
</html>
"""


def page(headlines: Sequence[Headline], runs: Sequence[RunResults], plots: Mapping[str, Path]) -> str:
    """Return the HTML of a summary with the SVG files of its plots; of each pretraining one seed's pictures."""
    firsts: dict[tuple[str, str], RunResults] = {}
    for run in runs:
        firsts.setdefault((run.run.dataset, run.run.pretrain), run)
    environment = Environment(autoescape=True)
    environment.filters |= {
        "duration": duration,
        "hardware": _hardware,
        "pretty": _pretty,
        "inline": _inline,
        "protocol": _protocol,
    }
    return environment.from_string(_TEMPLATE).render(
        headlines=headlines,
        runs=runs,
        meanings=list(dict.fromkeys(line for one in headlines for line in one.meanings())),
        figures=[_figure(name, plots[name]) for name in _CAPTIONS if name in plots],
        firsts=list(firsts.values()),
        most_pictured=_MOST_PICTURED,
    )


def _figure(name: str, path: Path) -> dict[str, str]:
    title, caption = _CAPTIONS[name]
    return {"title": title, "caption": caption, "source": _inline(path)}


def _inline(path: Path) -> str:
    kind = "svg+xml" if path.suffix == ".svg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _protocol(run: RunResults) -> dict[str, str]:
    """Return what was done to the data in the first steps, as far as their records tell."""
    of = {stage: record["settings"] or {} for stage, record in run.records.items()}
    return {
        f"{stage}: {key.replace('_', ' ')}": _plain(of[stage][key])
        for stage, keys in _PROTOCOL.items()
        for key in keys
        if key in of.get(stage, {})
    }


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_plain(item)}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _hardware(hardware: dict[str, Any]) -> str:
    return ", ".join([*hardware["gpus"], hardware["processor"], f"{hardware['cores']} cores"])


def _pretty(records: dict[str, Any]) -> str:
    return json.dumps(records, indent=2, ensure_ascii=False)
