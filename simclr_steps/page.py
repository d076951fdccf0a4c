"""The summary as one page that needs nothing but itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment

from simclr_steps.headline import Headline
from simclr_steps.logs import duration
from simclr_steps.run_results import RunResults

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
<h2>Accuracy by number of labels</h2>
<p><img alt="Accuracy against the number of labels" src="{{ label_efficiency }}"></p>
<h2>Pretraining</h2>
<p><img alt="Loss, hold-out loss and learning rate by epoch" src="{{ history }}"></p>
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


def page(headlines: Sequence[Headline], runs: Sequence[RunResults], plots: Path) -> str:
    """Return the HTML of a summary; `plots` is the folder that holds the two SVG plots."""
    environment = Environment(autoescape=True)
    environment.filters |= {"duration": duration, "hardware": _hardware, "pretty": _pretty}
    return environment.from_string(_TEMPLATE).render(
        headlines=headlines,
        runs=runs,
        meanings=list(dict.fromkeys(line for one in headlines for line in one.meanings())),
        label_efficiency=_inline(plots / "label_efficiency.svg"),
        history=_inline(plots / "history.svg"),
    )


def _inline(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _hardware(hardware: dict[str, Any]) -> str:
    return ", ".join([*hardware["gpus"], hardware["processor"], f"{hardware['cores']} cores"])


def _pretty(records: dict[str, Any]) -> str:
    return json.dumps(records, indent=2, ensure_ascii=False)
