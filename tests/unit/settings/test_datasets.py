"""The block `datasets`: each source has its own keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simclr_steps.settings.datasets import ArraysDataset, Dataset, DigitsDataset, FolderDataset, TorchvisionDataset
from simclr_steps.settings.reading import check
from tests.unit.settings.mistakes import assert_refused


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"source": "folder", "path": "x"}, "image_size: this key is required: add it"),
        ({"source": "folder", "path": "x", "image_size": 3}, "image_size: 3 is wrong"),
        ({"source": "folder", "path": "x", "image_size": 8, "channels": 0}, "channels: 0 is wrong"),
        ({"source": "torchvision", "name": "CIFAR11"}, 'name: "CIFAR11" is not known; did you mean "CIFAR10'),
        (
            {"source": "torchvision", "name": "MNIST", "mirrors": ["file:///a", "ftp://b"]},
            'mirrors.1: "ftp://b" is wrong: it must begin with https://, http:// or file://',
        ),
        (
            {"source": "arrays", "path": "x", "classes": ["a", "b", "a"]},
            'it must not repeat a name, but "a" appears more than once',
        ),
        *(
            ({"source": "folder", "path": "x", "image_size": 8, key: value}, f"{key}: {sentence}")
            for key, value, sentence in [
                ("channels", [], "[] is wrong: it must be a number of channels, or a list of their names"),
                ("channels", ["a", 1], '["a", 1] is wrong: it must be a number of channels, or a list of their names'),
                (
                    "channels",
                    ["a", "a"],
                    '["a", "a"] is wrong: it must not repeat a name, but "a" appears more than once',
                ),
                ("value_range", [5, 5], "[5, 5] is wrong: it must have the lower limit first, but 5 is not below 5"),
                ("value_range", [[0, 1], [9, 2]], "[[0, 1], [9, 2]] is wrong: it must have the lower limit first"),
                ("value_range", "full", '"full" is wrong: it must be auto, [low, high], {percentiles: [low, high]}'),
                (
                    "value_range",
                    {"percentiles": [1, 101]},
                    '{"percentiles": [1, 101]} is wrong: it must have percentiles from 0 to 100',
                ),
                ("image_size", [8], "[8] is wrong: it must be a whole number or two, [height, width]"),
                ("planes", "min", '"min" is wrong: it must be max, mean, or the number of a plane, from 0'),
                ("planes", -1, "-1 is wrong: it must be max, mean, or the number of a plane, from 0"),
                ("planes", True, "true is wrong: it must be max, mean, or the number of a plane, from 0"),
                ("bits", "16", '"16" is text: write 16 without quotes'),
                (
                    "group_pattern",
                    "(a{1,99999999999})",
                    '"(a{1,99999999999})" is wrong: it must be a valid regular expression',
                ),
                (
                    "group_pattern",
                    "(" * 999 + ")" * 999,
                    '"' + "(" * 56 + "... is wrong: it must be a valid regular expression",
                ),
                ("fit", "padd", '"padd" is not known; did you mean "pad"?'),
                ("bits", 12, "12 is wrong: it must be 8 or 16"),
            ]
        ),
        (
            {"source": "folder", "path": "x", "image_size": 8, "channels": 2, "value_range": ["auto"] * 3},
            "it has 3 ranges in value_range for 2 channels: give one for each",
        ),
        ({"source": "digits", "subset": "9"}, 'subset: "9" is wrong: it must be a valid integer'),
        ({"source": "digits", "path": "x"}, 'unknown key "path"'),
        ({"source": "digits", "validation_fraction": 1.0}, "validation_fraction: 1.0 is wrong"),
    ],
)
def test_mistake_is_one_sentence_that_names_the_key(content: dict[str, Any], sentence: str) -> None:
    assert_refused(Dataset, content, sentence)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"source": "digits"}, DigitsDataset),
        ({"source": "torchvision", "name": "STL10"}, TorchvisionDataset),
        ({"source": "folder", "path": "x", "image_size": 32}, FolderDataset),
        ({"source": "arrays", "path": "x.npz"}, ArraysDataset),
    ],
)
def test_source_decides_which_keys_a_block_has_and_all_are_split_alike(content: dict[str, Any], kind: type) -> None:
    block: Any = check(Dataset, content)
    assert (block.validation_fraction, block.test_fraction, block.split_seed, block.subset) == (0.1, 0.2, 0, None)
    assert isinstance(block, kind)


@pytest.mark.parametrize(
    "value_range", ["auto", [0, 4095], {"percentiles": [0.1, 99.9]}, ["auto", [-0.5, 1], {"percentiles": [0, 100]}]]
)
def test_a_value_range_is_the_same_after_json(value_range: Any) -> None:
    content = {"source": "folder", "path": "x", "image_size": [8, 12], "channels": 3, "value_range": value_range}
    block = check(Dataset, content)
    assert check(Dataset, json.loads(block.as_json())) == block
