"""The block `datasets`: each source has its own keys."""

from __future__ import annotations

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
        ({"source": "folder", "path": "x", "image_size": 8, "channels": 2}, "channels: 2 is wrong"),
        ({"source": "torchvision", "name": "CIFAR11"}, 'name: "CIFAR11" is not known; did you mean "CIFAR10'),
        (
            {"source": "torchvision", "name": "MNIST", "mirrors": ["file:///a", "ftp://b"]},
            'mirrors.1: "ftp://b" is wrong: it must begin with https://, http:// or file://',
        ),
        (
            {"source": "arrays", "path": "x", "classes": ["a", "b", "a"]},
            'it must not repeat a name, but "a" is there more than once',
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
