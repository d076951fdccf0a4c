"""What the steps cost is told of all their jobs, each once."""

from __future__ import annotations

from pathlib import Path

from simclr_steps.settings.runs import Run
from simclr_steps.summary.costs import costs
from simclr_steps.summary.run_results import RunResults

_COLUMNS = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def write(file: Path, seconds: float, memory: str, processor: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{_COLUMNS}{seconds}\t0:00:01\t{memory}\t1\t1\t1\t0\t0\t50\t{processor}\n")


def test_the_jobs_of_a_step_are_added_up_and_shared_ones_count_once(tmp_path: Path) -> None:
    runs = [
        Run(dataset="digits", pretrain="simclr", seed=seed, finetunes=["tuned"], compared=["pixels"]) for seed in (0, 1)
    ]
    write(tmp_path / "digits/prepare.tsv", 3, "100", "3")
    write(tmp_path / "digits/compare/pixels.tsv", 61, "-", "NA")  # a job too short to be looked at
    for run, seconds in zip(runs, (60, 100), strict=True):
        write(tmp_path / run.folder / "pretrain.tsv", seconds, str(1000 * seconds), "90")
        write(tmp_path / f"{run.classifiers['tuned']}.tsv", 10, "500", "10")
        write(tmp_path / f"{run.classifiers['tuned']}.test.predict.tsv", 1, "500", "1")
        write(tmp_path / run.folder / "features/test.predict.tsv", 2, "500", "1")
    for name, content in (("download", ""), ("label", "foreign\n1\n")):  # of a full disk, and somebody's own
        (tmp_path / f"digits/{name}.tsv").write_text(content)
    results = [RunResults(run) for run in runs]
    results[0].records = {"pretrain": {"hardware": {"gpus": ["H100"]}}, "finetune tuned": {"hardware": {"gpus": []}}}
    assert costs(results, tmp_path) == [
        ["step", "jobs", "time", "longest job", "most memory in GB", "processor time", "GPUs"],
        ["prepare", "1", "3 s", "3 s", "0.1", "3 s", ""],
        ["pretrain", "2", "2 min 40 s", "1 min 40 s", "104.9", "3 min 00 s", "H100"],
        ["compare", "1", "1 min 01 s", "1 min 01 s", "", "", ""],
        ["finetune", "2", "20 s", "10 s", "0.5", "20 s", "none"],
        ["predict", "4", "6 s", "2 s", "0.5", "4 s", ""],
    ]


def test_files_of_test_that_a_run_left_before_it_became_one_of_a_grid_are_not_counted(tmp_path: Path) -> None:
    run = Run(dataset="digits", pretrain="simclr", seed=0, finetunes=["tuned"], judged_by="validation")
    for place in (run.classifiers["tuned"] + ".{}", run.folder + "/features/{}"):
        for split in ("validation", "test"):
            write(tmp_path / f"{place.format(split)}.predict.tsv", 2, "500", "1")
    assert costs([RunResults(run)], tmp_path)[1][:3] == ["predict", "2", "4 s"]


def test_without_benchmark_files_there_is_no_table(tmp_path: Path) -> None:
    assert costs([RunResults(Run(dataset="digits", pretrain="simclr", seed=0, finetunes=[]))], tmp_path) == []
