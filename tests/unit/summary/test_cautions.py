"""Few images, rare classes and accuracies at chance are said, and only they."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from simclr_steps.data.packed import Description, Repeated, SplitCounts, read_description
from simclr_steps.summary import cautions as module
from simclr_steps.summary.collected import COLUMNS
from simclr_steps.summary.headline import Headline, group
from simclr_steps.summary.notes import as_sentences
from simclr_steps.summary.reading import read_run
from simclr_steps.summary.run_results import RunResults
from tests.unit.summary.written_results import settings, write_run


def cautions(
    headlines: Sequence[Headline], descriptions: Mapping[str, Description], runs: Sequence[RunResults]
) -> list[str]:
    return as_sentences(module.cautions(headlines, descriptions, runs))


def headlines(results: Path) -> list[Headline]:
    rows = read_run(settings(0).runs[0], results).rows
    return group(pd.DataFrame(rows, columns=[*COLUMNS, "series"]).astype({"labels": "Int64", "draw": "Int64"}))


def with_threads(*counts: int, gpus: tuple[str, ...] = ()) -> list[RunResults]:
    """Return runs, each pretrained with as many threads."""
    records = [{"step": "pretrain", "hardware": {"gpus": list(gpus), "threads": count}} for count in counts]
    return [RunResults(settings(n).runs[0], records={"pretrain": record}) for n, record in enumerate(records)]


def described(data: Path, test: list[int]) -> Description:
    """Return the description of digits, their test split with as many images of each class."""
    description = read_description(data)
    count = SplitCounts(images=sum(test), labeled=sum(test), per_class=test)
    return description.model_copy(update={"splits": {**description.splits, "validation": count, "test": count}})


def test_many_images_and_good_accuracies_need_no_caution(tmp_path: Path, data: Path) -> None:
    write_run(tmp_path, 0)
    assert cautions(headlines(tmp_path), {"digits": described(data, [20] * 10)}, []) == []


def test_few_groups_are_said(tmp_path: Path, data: Path) -> None:
    write_run(tmp_path, 0)
    of_groups = described(data, [20] * 10)
    for groups, split in ((9, "test"), (10, "validation")):
        of_groups.splits[split] = of_groups.splits[split].model_copy(update={"groups": groups})
    (said,) = cautions(headlines(tmp_path), {"digits": of_groups}, [])
    assert said.startswith("digits: the test split has only 9 groups, too few to tell how the accuracy varies")


def test_a_class_that_no_group_of_a_split_has_is_said(tmp_path: Path, data: Path) -> None:
    lacking = described(data, [200, 0, *[20] * 8])
    lacking.splits["validation"] = lacking.splits["validation"].model_copy(update={"groups": 12})
    said, *_ = cautions([], {"digits": lacking}, [])
    assert said.startswith('digits: no group in validation has images of "one", so its accuracy says nothing')
    assert said.endswith("add groups, raise validation_fraction, or name the split of each image yourself.")


def test_a_small_split_and_a_rare_class_are_mentioned(tmp_path: Path, data: Path) -> None:
    write_run(tmp_path, 0)
    said = cautions(headlines(tmp_path), {"digits": described(data, [4, 2, *[5] * 8])}, [])
    assert said[:2] == [
        f"digits: the {split} split has only 46 labeled images, so each accounts for 2.2 percentage points of accuracy."
        for split in ("hold-out", "test")
    ]
    assert said[2] == "digits: classes with fewer than 5 labeled images in the test split: zero (4), one (2)."


def test_all_accuracies_at_chance_are_mentioned_in_one_sentence(tmp_path: Path, data: Path) -> None:
    write_run(tmp_path, 0)
    said = cautions(headlines(tmp_path), {"digits": described(data, [110, *[10] * 9])}, [])
    (at_chance,) = [sentence for sentence in said if "cannot be distinguished" in sentence]
    assert at_chance == (
        "digits/simclr: raw pixels with 10, 100 labels; random features with 10, 100 labels cannot be distinguished "
        "from always predicting the most frequent class, which is right for 55.0 % of the test split."
    )


def test_where_classes_differ_in_size_balanced_accuracy_tells_whether_a_classifier_is_at_chance(
    tmp_path: Path, data: Path
) -> None:
    write_run(tmp_path, 0)
    (one,) = headlines(tmp_path)
    balanced = one.accuracy.assign(mean=one.accuracy["name"].map({"raw pixels": 0.05}).fillna(0.45))
    said = cautions([replace(one, balanced=balanced)], {"digits": described(data, [110, *[10] * 9])}, [])
    assert said == [
        "digits/simclr: raw pixels with 10, 100 labels cannot be distinguished from always predicting the same class, "
        "whose balanced accuracy is 10.0 %.",
        "digits/simclr: random features with 10, 100 labels cannot be shown to be right more often than always "
        "predicting the most frequent class, which is right for 55.0 % of the test split, but the balanced accuracy is "
        "above the 10.0 % of that.",
    ]


def test_runs_with_different_numbers_of_threads_are_named() -> None:
    (said,) = cautions([], {}, with_threads(1, 4, 1))
    assert said.startswith("digits: pretrain ran with 1 or 4 threads") and "--set-threads pretrain=N" in said
    assert cautions([], {}, with_threads(2, 2)) == []
    assert cautions([], {}, with_threads(1, 4, gpus=("H100",))) == [], "on a GPU threads only hand over work"


def test_images_in_both_training_and_evaluation_are_mentioned(data: Path) -> None:
    description = described(data, [20] * 10).model_copy(
        update={"repeated": Repeated(trained_on={"test": 200}, contradictory=3)}
    )
    leaked, contradictory = cautions([], {"digits": description}, [])
    assert leaked.startswith("digits: 200 of the 200 images of the test split are also in the training data")
    assert contradictory.startswith("digits: 3 labeled images also occur under a different label")
