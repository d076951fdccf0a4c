"""The page's tables are means over draws and seeds."""

from __future__ import annotations

import pandas as pd

from simclr_steps.summary.tables import comparison, finetuned, worst_classes


def test_pretrainings_of_one_data_set_are_compared_in_one_table() -> None:
    rows = [
        ("digits", pretrain, seed, "linear", "simclr", 10, "simclr", "test", "accuracy", value + seed / 10)
        for pretrain, value in (("a", 0.5), ("b", 0.7))
        for seed in (0, 1)
    ]
    columns = ["dataset", "pretrain", "seed", "stage", "input", "labels", "series", "split", "metric", "value"]
    table = pd.DataFrame(rows, columns=columns)
    assert comparison(table) == [["pretraining", "10 labels"], ["a", "55.0 ± 7.1 (2)"], ["b", "75.0 ± 7.1 (2)"]]
    assert comparison(table[:2]) == []


def test_fine_tunings_tell_how_long_they_were_trained() -> None:
    rows = [
        ("finetune", name, labels, split, metric, value, 1200 if metric == "accuracy" else None)
        for name, labels, epochs in (("short", 10, (100.0,)), ("long", 1290, (1000.0, 1250.0)))
        for split, metric, values in (
            (None, "epochs", epochs),
            ("test", "accuracy", (0.5,)),
            ("test", "calibrated_error", (0.02,)),
        )
        for value in values
    ]
    table = pd.DataFrame(rows, columns=["stage", "input", "labels", "split", "metric", "value", "images"])
    assert finetuned(table) == [
        ["fine-tuning", "labels", "epochs", "split", "images", "accuracy", "with temperature"],
        ["short", "10", "100", "test", "1,200", "50.0 [47.2, 52.8]", "2.0"],
        ["long", "1,290", "1,000 to 1,250", "test", "1,200", "50.0 [47.2, 52.8]", "2.0"],
    ]


def test_worst_classes_are_those_of_least_mean_f1() -> None:
    rows = [{"class": f"c{label}", "images": 5, "f1": label / 10 + draw / 100} for draw in (0, 2) for label in range(8)]
    rows.append({"class": "absent", "images": 0, "f1": None})
    header, found = worst_classes({"tuned": rows})
    assert header == ["fine-tuning", "worst", "2.", "3.", "4.", "5."]
    assert found == ["tuned", "c0: 1.0", "c1: 11.0", "c2: 21.0", "c3: 31.0", "c4: 41.0"]


def test_a_table_of_worst_classes_is_no_wider_than_there_are_classes() -> None:
    rows = [{"class": name, "images": 5, "f1": f1} for name, f1 in (("ant", 0.5), ("bee", 0.25))]
    assert worst_classes({"tuned": rows, "lame": rows[:1]}) == [
        ["fine-tuning", "worst", "2."],
        ["tuned", "bee: 25.0", "ant: 50.0"],
        ["lame", "ant: 50.0", ""],
    ]
