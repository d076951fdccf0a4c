from __future__ import annotations

import os
import time
from pathlib import Path

from simclr_steps.machine.clock import bring_to_present


def test_files_of_the_future_get_the_present_time_and_others_keep_theirs(tmp_path: Path) -> None:
    now = time.time()
    times = {"old": now - 3600, "results/new": now + 60, "results/deep/newer": now + 3600}
    for name, at in times.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (at, at))
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    assert bring_to_present([str(tmp_path), str(tmp_path / "absent")]) == 2
    old, new, newer = ((tmp_path / name).stat().st_mtime for name in times)
    assert old == times["old"]
    assert now <= new == newer <= time.time()
    assert bring_to_present([str(tmp_path)]) == 0
