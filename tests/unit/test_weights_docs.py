"""What README and docs/weights.md show of given weights are valid configs that do what is said of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from simclr_steps.settings.config import read_config
from simclr_steps.settings.plan import Plan, plan

ROOT = Path(__file__).parents[2]


def examples(page: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def planned(*parts: str) -> Plan:
    """Return the plan of a config that is written in several parts, all of whose pretrainings run."""
    contents = [yaml.safe_load(part) for part in parts]
    pretrains = {
        name: block for content in contents for name, block in content.get("pretrains", {"simclr": {}}).items()
    }
    merged = {"datasets": {"mine": {"source": "digits"}}} | {k: v for content in contents for k, v in content.items()}
    experiments = [{"dataset": next(iter(merged["datasets"])), "pretrain": name} for name in pretrains]
    return plan(read_config(merged | {"pretrains": pretrains, "experiments": experiments}))


def test_what_readme_adds_to_the_config_for_own_images_starts_from_weights_and_goes_on() -> None:
    result = planned(*examples("README.md"))
    assert list(result.published) == ["resnet50.IMAGENET1K_V2", "resnet18.IMAGENET1K_V1"]
    assert result.own_files["pretrains.from_file.init"] == Path("resnet18.pth")
    longer, simclr = result.pretrains["longer"], result.pretrains["simclr"]
    assert longer.parent == simclr.trained and (longer.epochs, longer.temperature) == (100, simclr.temperature)


@pytest.mark.parametrize("example", examples("docs/weights.md"))
def test_an_example_of_the_page_is_valid(example: str) -> None:
    assert planned(example).runs and len(example.splitlines()) <= 10
