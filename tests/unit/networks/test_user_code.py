"""A user's own encoder is found in the working folder, known by its code, and its mistakes are told in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.networks.user_code import augmentation_code, call_own, fault_of_own_code, own_code_hash
from simclr_steps.settings.augmentation import Augmentation
from tests.unit.step_processes import said, start
from tests.unit.stoppable_trainings import arguments, folder_for

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


def test_a_module_elsewhere_has_no_hash(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/installed.py").write_text(CODE.format(name="network"))
    monkeypatch.syspath_prepend(folder / "elsewhere")
    for name in ("installed:network", "this:d", "json.tool:main"):  # an installed module, two of Python's own
        with pytest.raises(UserError, match=rf"no file of {name.partition(':')[0]} in {folder}, where own code must"):
            own_code_hash(name)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            None,
            r"encoder: mistaken\d:network fails .*no file of mistaken\d in .* or among installed packages\): fix it",
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


PASSES = """
import sys
from torch import nn

class Leaves(nn.Linear):
    passes = 0

    def forward(self, x):
        self.passes += 1
        if self.passes == LAST:
            FAULT
        return super().forward(x.flatten(1))

def encoder(channels, image_size):
    return Leaves(channels * 64, 8)
"""


@pytest.mark.parametrize(
    ("last", "fault", "told"),
    [
        (1, "sys.exit()", "SystemExit"),
        (9, "sys.exit(0)", "SystemExit: 0"),
        (9, "raise KeyboardInterrupt", "KeyboardInterrupt"),
        (9, "raise GeneratorExit('early')", "GeneratorExit: early"),
        (9, "[][0]", "IndexError: list index out of range"),
    ],
)
def test_an_encoder_that_leaves_in_any_pass_ends_the_step_with_one_sentence(
    last: int, fault: str, told: str, tmp_path: Path, data: Path
) -> None:
    folder = folder_for(tmp_path, "out")
    (folder / "leaving.py").write_text(PASSES.replace("LAST", str(last)).replace("FAULT", fault))
    process = start(arguments("pretrain", data, encoder="leaving:encoder", epochs=2), folder)
    process.join()
    assert process.exitcode == 1 and not (folder / "out").exists(), said(folder)
    place = f"fails on line 11 of {folder / 'leaving.py'} ({told}): fix it\n"
    assert said(folder).endswith(f"error: encoder: leaving:encoder {place}")
    assert "Traceback" not in said(folder)


def test_what_a_module_beside_that_of_the_function_does_is_a_fault_of_own_code(folder: Path) -> None:
    (folder / "beside.py").write_text("import json\n\ndef read(text):\n    return json.loads(text)\n")
    (folder / "reading.py").write_text("from beside import read\n\ndef network():\n    return read\n")
    read = call_own("reading:network")
    with pytest.raises(ValueError, match="Expecting value") as failed:
        read("[")
    told = fault_of_own_code(RuntimeError("no batch"))
    assert told is None
    told = fault_of_own_code(failed.value.with_traceback(failed.tb.tb_next))  # without this test's own frame
    assert str(told).startswith(f"encoder: reading:network fails on line 4 of {folder / 'beside.py'} (JSONDecodeError")
