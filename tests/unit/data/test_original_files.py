from __future__ import annotations

from pathlib import Path

from simclr_steps.data.original_files import original_files
from simclr_steps.data.packed import read_description
from tests.unit.conftest import WritePacked


def test_sources_are_below_the_folder_or_beside_the_table_and_of_arrays_nowhere(
    write_packed: WritePacked, tmp_path: Path
) -> None:
    data = read_description(write_packed())
    table = tmp_path / "images.csv"
    table.touch()
    for path in (tmp_path, table):
        source = {"source": "folder", "path": str(path)}
        assert original_files(data.model_copy(update={"source": source})) == tmp_path
    assert original_files(data.model_copy(update={"source": {"source": "digits"}})) is None
