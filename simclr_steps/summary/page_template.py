"""The HTML of the summary's page; it is a Python module, as the workflow finds what it needs by imports."""

TEMPLATE = """{% macro table(rows, kind="") %}<div class="wide"><table class="{{ kind }}">
{% for row in rows %}{% set cell_kind = "th" if loop.first and kind != "facts" else "td" %}
<tr>{% for cell in row %}{% set tag = "th" if kind == "facts" and loop.first else cell_kind -%}
<{{ tag }}>{{ cell }}</{{ tag }}>{% endfor %}</tr>{% endfor %}
</table></div>{% endmacro %}<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Summary of {{ runs | length }} run{{ "s" if runs | length != 1 }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 66rem; margin: 0 auto; padding: 1rem; }
h1, h2, h3 { line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
img { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
.wide img { max-width: none; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; }
figcaption, .note { font-size: 14px; color: #555; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { padding: .25rem .5rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #ddd; }
th { border-bottom: 2px solid #888; white-space: normal; vertical-align: bottom; }
td:first-child, th:first-child { text-align: left; }
.facts th, .facts td { text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; }
.facts td { white-space: normal; overflow-wrap: anywhere; min-width: 10rem; }
.words td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
pre { overflow-x: auto; background: #f5f5f5; padding: .5rem; font-size: 13px; }
.config { max-height: 24rem; overflow: auto; }
summary { cursor: pointer; }
@media print {
  details { display: none; }
  figure, img, tr { break-inside: avoid; }
  .config { max-height: none; white-space: pre-wrap; }
  body { max-width: none; font-size: 11pt; }
  .wide { overflow: visible; }
  .wide img { max-width: 100%; }
  th, td { white-space: normal; padding: .15rem .4rem; }
}
</style>
</head>
<body>
<h1>Summary</h1>
<p>{{ runs | length }} run{{ "s" if runs | length != 1 }}: an encoder was pretrained with SimCLR without labels, then
judged by how few labels suffice to classify with it. The test split chose nothing: it was read only to measure what
stands here. Figures are {{ spread }}; where there are several values, their number stands in brackets. Draws of one
seed share its pretraining, so that the deviation of few seeds tells little of other seeds.</p>
{% if unmeasured %}<p>Notes, among them what could not be measured:</p>
<ul>{% for line in unmeasured %}<li>{{ line }}</li>{% endfor %}</ul>{% endif %}
{% for name, rows in comparisons.items() %}
<h2>{{ name }}: the pretrainings compared</h2>
<p>Accuracy in % on the {{ splits[name] }} split: of the frozen features with all labels and by logistic regression with
so many, and of the fine-tunings.</p>
{{ table(rows) }}
{% endfor %}
{% for one in headlines %}
<h2>{{ one.title }}</h2>
{% if one.accuracy | length %}
<p>Accuracy in % on the {{ one.split }} split by number of labels:</p>
{{ table(one.cells(counted=true)) }}
{% if one.hold_out | length %}<p class="note">The same on the hold-out, on which checkpoints were chosen:</p>
<div class="note">{{ table(one.hold_out_cells()) }}</div>{% endif %}
{% else %}<p>No accuracy was measured: that takes labels.</p>{% endif %}
{% if one.title in frozen %}<p>Frozen features with all labels, accuracy in %:</p>
{{ table(frozen[one.title]) }}{% endif %}
{% if one.title in finetuned %}<p>Fine-tuned classifiers, all in %; of the calibration error less is better:</p>
{{ table(finetuned[one.title]) }}
{% if worst[one.title] %}<p>The classes that they tell worst on the test split, by F1 in %:</p>
{{ table(worst[one.title]) }}{% endif %}{% endif %}
<p>{{ one.cost }}</p>
{% endfor %}
{% if meanings %}<p>What the columns are:</p>
<ul>{% for line in meanings %}<li>{{ line }}</li>{% endfor %}</ul>{% endif %}
<h2>Data</h2>
{% for name, facts in datasets.items() %}
<h3>{{ name }}</h3>
{{ table(facts.facts, "facts") }}
{{ table(facts.splits) }}
{% endfor %}
<h2>Protocol</h2>
{% for one in firsts %}{% set rows = one | protocol %}{% if rows %}
<h3>{{ one.run.dataset }}, {{ one.run.pretrain }}</h3>
{{ table(rows, "facts") }}
{% endif %}{% endfor %}
{% for one in figures %}
<h2>{{ one.title }}</h2>
<p>{{ one.caption }}</p>
<p class="wide"><img alt="{{ one.title }}" src="{{ one.source }}"></p>
{% endfor %}
{% for one in firsts[:most_pictured] if one.pictures %}
<h2>Pictures of {{ one.run.dataset }}, {{ one.run.pretrain }}, seed {{ one.run.seed }}</h2>
<div class="pictures">{% for picture in one.pictures %}
<figure><img alt="{{ picture.caption }}" src="{{ picture.file | inline }}">
<figcaption>{{ picture.caption }}{% if picture.page %}
<a href="{{ picture.page | beside }}">Interactive, where this page lies beside its results.</a>
{% endif %}</figcaption></figure>{% endfor %}
</div>
{% endfor %}
{% if firsts | length > most_pictured %}<p>The other {{ firsts | length - most_pictured }} pretrainings' pictures lie
beside their results.</p>{% endif %}
<h2>Provenance</h2>
{{ table(provenance, "facts") }}
{% for one in runs %}
<h3>{{ one.run.dataset }}, {{ one.run.pretrain }}, seed {{ one.run.seed }}</h3>
<ul>{% for line in [one.choice] + one.notes if line %}<li>{{ line }}</li>{% endfor %}</ul>
<div class="wide"><table class="words">
<tr><th>step</th><th>took</th><th>code</th><th>hardware</th></tr>
{% for stage, record in one.records.items() %}
<tr><td>{{ stage }}</td><td>{{ record.seconds | default(0) | duration }}</td><td>{{ record.code_hash }}</td>
<td>{{ record.hardware | hardware }}</td></tr>
{% endfor %}
</table></div>
<details><summary>Everything that the steps recorded</summary>
<pre>{{ one.records | pretty }}</pre></details>
{% endfor %}
<h2>Config</h2>
<p>All settings as the steps got them, defaults filled in.</p>
<pre class="config">{{ config }}</pre>
</body>
</html>
"""
