"""A user's own encoder is found in the working folder, known by its code, and its mistakes are told in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.networks.user_code import augmentation_code, call_own, own_code_hash
from simclr_steps.settings.augmentation import Augmentation

CODE = "def {name}(channels, image_size):\n    return (channels, image_size)\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder that is not on the path."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_module_of_the_working_folder_is_called_even_on_a_safe_path(folder: Path) -> None:
    (folder / "in_folder.py").write_text(CODE.format(name="network"))
    program = (
        "import sys; from simclr_steps.networks.user_code import call_own; before = list(sys.path);"
        "print(call_own('in_folder:network', channels=3, image_size=8), sys.path == before)"
    )
    root = str(Path(__file__).parents[3])
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONSAFEPATH": "1", "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == "(3, 8) True\n", result.stderr


def test_hash_follows_the_code_and_neither_comments_nor_the_folder(folder: Path) -> None:
    (folder / "one.py").write_text(CODE.format(name="network"))
    (folder / "two.py").write_text("# A comment.\n" + CODE.format(name="network").replace(", ", ",  "))
    (folder / "three.py").write_text(CODE.format(name="network").replace("return", "return 1 +"))
    one, two, three = (own_code_hash(f"{name}:network") for name in ("one", "two", "three"))
    assert one == two != three
    assert not {"one", "two", "three"} & set(sys.modules)


def test_code_of_an_augmentation_is_that_of_its_module_and_a_fault_names_the_key(folder: Path) -> None:
    (folder / "mine.py").write_text(CODE.format(name="change"))
    assert augmentation_code(Augmentation(own="mine:change")) == [own_code_hash("mine:change")]
    assert augmentation_code(Augmentation()) == augmentation_code(None) == []
    with pytest.raises(UserError, match=r"^augmentation\.own: lost:change fails .*no file of lost in"):
        augmentation_code(Augmentation(own="lost:change"))


def test_a_module_in_a_package_is_found_without_importing_the_package(folder: Path) -> None:
    (folder / "bad_package").mkdir()
    (folder / "bad_package/__init__.py").write_text("raise SystemExit('imported')\n")
    (folder / "bad_package/networks.py").write_text(CODE.format(name="network"))
    (folder / "alone.py").write_text(CODE.format(name="network"))
    assert own_code_hash("bad_package.networks:network") == own_code_hash("alone:network")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            None,
            r"encoder: mistaken\d:network fails .*no file of mistaken\d in .* or among installed packages.*: fix it",
        ),
        ("def network(:\n", r"encoder: mistaken\d:network fails \(SyntaxError: .*line 1"),
        ("import nothing_like_it\n", r"fails on line 1 of .*mistaken\d.py \(ModuleNotFoundError: .*nothing_like_it"),
        ("other = 1\n", r"encoder: mistaken\d:network fails \(AttributeError: .* has no attribute 'network'"),
        ("def network():\n    return 1\n", r"fails \(TypeError: network\(\) got an unexpected keyword argument"),
        ("def network(**_):\n\n    return [][0]\n", r"fails on line 3 of .*mistaken\d.py \(IndexError: list index"),
    ],
)
def test_mistakes_are_reported_with_their_location(
    folder: Path, code: str | None, message: str, request: pytest.FixtureRequest
) -> None:
    name = f"mistaken{next(iter(request.node.callspec.indices.values()))}"  # a module is imported once in a process
    if code is not None:
        (folder / f"{name}.py").write_text(code)
    with pytest.raises(UserError, match=message):
        call_own(f"{name}:network", channels=1, image_size=8)
