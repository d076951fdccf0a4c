"""The image sets that are known by name: which files they consist of, and how to tell that a file is the original.

The checksums are those that torchvision.datasets checks; that of the digits is of the file that scikit-learn ships. The
sizes are those that programs which downloaded the files have said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from simclr_steps.files import checksum
from simclr_steps.settings.datasets import DigitsDataset, TorchvisionDataset

_DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Original:
    """A file as its makers published it."""

    name: str
    checksum: str  # hexadecimal, or the first digits; empty where none is known
    size: int | None = None  # bytes, of what is downloaded; None of what an archive holds
    algorithm: Literal["md5", "sha256"] = "md5"
    members: tuple[Original, ...] = ()  # of an archive: files that do as well when it is unpacked

    def matches(self, path: Path) -> bool:
        """Check by its checksum whether a file is the original."""
        return checksum(path, self.algorithm).startswith(self.checksum)


@dataclass(frozen=True)
class ImageSet:
    """A known image set."""

    layout: Literal["digits", "cifar", "idx", "svhn", "stl10"]
    originals: tuple[Original, ...]
    splits: Mapping[str, tuple[str, ...]]  # the files to read for each split
    folder: str = "."  # where torchvision keeps the files, and the members of an archive lie in it
    classes: tuple[str, ...] = ()  # empty where an original names them


def image_set(dataset: DigitsDataset | TorchvisionDataset) -> ImageSet:
    """Return what is known of a data set's originals."""
    return IMAGE_SETS[set_name(dataset)]


def set_name(dataset: DigitsDataset | TorchvisionDataset) -> str:
    """Return the name in the catalog: torchvision's, or digits."""
    return dataset.name if isinstance(dataset, TorchvisionDataset) else dataset.source


def _mnist_like(name: str, known: tuple[tuple[str, int], ...], classes: tuple[str, ...]) -> ImageSet:
    """Return a set of four files of known checksums and sizes: images and labels, to train on and to test on."""
    splits = {
        "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
    }
    files = zip(splits["train"] + splits["test"], known, strict=True)
    originals = tuple(Original(file, *checksum_and_size) for file, checksum_and_size in files)
    return ImageSet("idx", originals, splits, folder=f"{name}/raw", classes=classes)


IMAGE_SETS = {
    "digits": ImageSet(
        "digits",
        (
            Original(
                "digits.csv.gz",
                "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
                57_523,
                algorithm="sha256",
            ),
        ),
        {"train": ("digits.csv.gz",)},
        classes=_DIGITS,
    ),
    "CIFAR10": ImageSet(
        "cifar",
        (
            Original(
                "cifar-10-python.tar.gz",
                "c58f30108f718f92721af3b95e74349a",
                170_498_071,
                members=(
                    Original("data_batch_1", "c99cafc152244af753f735de768cd75f"),
                    Original("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
                    Original("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
                    Original("data_batch_4", "634d18415352ddfa80567beed471001a"),
                    Original("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
                    Original("test_batch", "40351d587109b95175f43aff81a1287e"),
                    Original("batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),
                ),
            ),
        ),
        {
            "train": ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"),
            "test": ("test_batch",),
        },
        folder="cifar-10-batches-py",
    ),
    "CIFAR100": ImageSet(
        "cifar",
        (
            Original(
                "cifar-100-python.tar.gz",
                "eb9058c3a382ffc7106e4002c42a8d85",
                169_001_437,
                members=(
                    Original("train", "16019d7e3df5f24257cddd939b257f8d"),
                    Original("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),
                    Original("meta", "7973b15100ade9c7d40fb424638fde48"),
                ),
            ),
        ),
        {"train": ("train",), "test": ("test",)},
        folder="cifar-100-python",
    ),
    "MNIST": _mnist_like(
        "MNIST",
        (
            ("f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
            ("d53e105ee54ea40749a09fcbcd1e9432", 28_881),
            ("9fb629c4189551a2d022fa330f9573f3", 1_648_877),
            ("ec29112dd5afa0611ce80d1b7f02629c", 4_542),
        ),
        _DIGITS,
    ),
    "FashionMNIST": _mnist_like(
        "FashionMNIST",
        (
            ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
            ("25c81989df183df01b3e8a0aad5dffbe", 29_515),
            ("bef4ecab320f06d8554ea6380940ec79", 4_422_102),
            ("bb300cfdad3c16e7a12a480ee83cd310", 5_148),
        ),
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "KMNIST": _mnist_like(
        "KMNIST",
        (
            ("bdb82020997e1d708af4cf47b453dcf7", 18_165_135),
            ("e144d726b3acfaa3e44228e80efcd344", 29_497),
            ("5c965bf0a639b31b8f53240b1b52f4d7", 3_041_136),
            ("7320c461ea6c1c855c0b718fb2a4b134", 5_120),
        ),
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
    "SVHN": ImageSet(
        "svhn",
        (
            Original("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", 182_040_794),
            Original("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", 64_275_384),
        ),
        {"train": ("train_32x32.mat",), "test": ("test_32x32.mat",)},
        classes=_DIGITS,
    ),
    "STL10": ImageSet(
        "stl10",
        (
            Original(
                "stl10_binary.tar.gz",
                "91f7769df0f17e558f3565bffb0c7dfb",
                2_640_397_119,
                members=(
                    Original("train_X.bin", "918c2871b30a85fa023e0c44e0bee87f"),
                    Original("train_y.bin", "5a34089d4802c674881badbb80307741"),
                    Original("test_X.bin", "7f263ba9f9e0b06b93213547f721ac82"),
                    Original("test_y.bin", "36f9794fa4beb8a2c72628de14fa638e"),
                    Original("unlabeled_X.bin", "5242ba1fed5e4be9e1e742405eb56ca4"),
                ),
            ),
        ),
        {
            "train": ("train_X.bin", "train_y.bin"),
            "test": ("test_X.bin", "test_y.bin"),
            "unlabeled": ("unlabeled_X.bin",),
        },
        folder="stl10_binary",
        classes=("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
    ),
}
