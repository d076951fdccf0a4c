from pathlib import Path

from simclr_steps import reference

ROOT = Path(__file__).parents[2]


def test_key_reference_is_what_the_settings_tell() -> None:
    assert (ROOT / reference.README).read_text() == reference.key_reference(), "run python -m simclr_steps.reference"


def test_schema_is_what_the_settings_tell() -> None:
    assert (ROOT / reference.SCHEMA).read_text() == reference.schema(), "run python -m simclr_steps.reference"


def test_reference_names_every_key_with_its_default() -> None:
    page = reference.key_reference()
    assert "| `temperature` | number, > 0 | `0.5` |" in page
    assert "## umap\n" in page
    assert "None" not in page
