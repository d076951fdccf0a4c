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
