"""What a fine-tuning left is read, and what it was judged on is that of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.summary.reading import read_run
from tests.unit.summary.written_results import settings, write_finetune, write_run


def test_a_fine_tuning_on_other_data_than_the_features_is_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    write_finetune(folder, "tuned", "pretrained", 0.8)
    file = folder / "finetune" / "tuned" / "metrics.json"
    file.write_text(file.read_text().replace("da7a", "0ther"))
    with pytest.raises(UserError, match="finetune/tuned was measured on data other than the run's: run finetune again"):
        read_run(settings(0, finetunes=("tuned",)).runs[0], tmp_path)


def test_a_run_of_a_grid_shows_no_predictions_of_a_fine_tuning_that_others_judge_by_test(tmp_path: Path) -> None:
    folder = write_run(tmp_path, 0)
    write_finetune(folder, "tuned", "pretrained", 0.8)
    place = folder / "finetune" / "tuned"
    for name in ("predictions.parquet", "mistakes.csv"):
        (place / name).rename(place / f"validation.{name}")
    of_grid = settings(0, finetunes=("tuned",)).runs[0].model_copy(update={"judged_by": "validation"})
    read = read_run(of_grid, tmp_path)
    assert not read.predictions and not [
        row for row in read.rows if row.get("split") == "test" and row["stage"] != "umap"
    ]
    file = place / "metrics.json"
    file.write_text(file.read_text().replace('"judged_by": "test"', '"judged_by": "validation"'))
    assert set(read_run(of_grid, tmp_path).predictions) == {"tuned"}
