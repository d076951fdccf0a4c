from pathlib import Path

from simclr_steps.settings import write_reference

ROOT = Path(__file__).parents[3]


def test_key_reference_is_what_the_settings_tell() -> None:
    assert (ROOT / write_reference.README).read_text() == write_reference.key_reference(), (
        "run python -m simclr_steps.settings.write_reference"
    )


def test_schema_is_what_the_settings_tell() -> None:
    assert (ROOT / write_reference.SCHEMA).read_text() == write_reference.schema(), (
        "run python -m simclr_steps.settings.write_reference"
    )


def test_manifest_lists_the_files_of_the_package() -> None:
    listed = (ROOT / write_reference.MANIFEST).read_text()
    assert listed == write_reference.manifest(), "run python -m simclr_steps.settings.write_reference"
    package = ROOT / "simclr_steps"
    files = {str(file.relative_to(package)) for file in package.rglob("*") if "__pycache__" not in file.parts}
    others = {"MANIFEST", *(name for name in files if (package / name).is_dir())}
    assert set(listed.split()) == files - others


def test_reference_names_every_key_with_its_default() -> None:
    page = write_reference.key_reference()
    assert "| `temperature` | number, > 0 | `0.5` |" in page
    assert "## umap\n" in page
    assert "None" not in page
