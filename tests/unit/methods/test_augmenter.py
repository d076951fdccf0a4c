"""An augmentation fits the images that it is for."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from simclr_steps.machine.errors import UserError
from simclr_steps.methods import random_numbers
from simclr_steps.methods.augmenter import Augmenter, tell_left_out
from simclr_steps.methods.views import random_views
from simclr_steps.settings.augmentation import Augmentation
from simclr_steps.settings.reading import check
from tests.unit.methods.test_views import photos

DOCS = Path(__file__).parents[3] / "docs/augmentation.md"


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        ({}, "saturation, hue, grayscale_probability"),
        ({"preset": "digits", "hue": 0}, "saturation"),
        ({"jitter_probability": 0, "grayscale_probability": 0}, None),
    ],
)
def test_what_only_color_images_have_is_left_out_of_others_and_said(
    content: dict[str, Any], keys: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = check(Augmentation, content)
    tell_left_out(settings, 3, is_color=True)
    tell_left_out(None, 5, is_color=False)
    assert not caplog.messages
    tell_left_out(settings, 5, is_color=False)
    sentence = f"augmentation skips {keys}: that requires 3 color channels, but these images have 5"
    assert caplog.messages == ([sentence] if keys else [])


def documented() -> str:
    """Return the code of the example in the docs."""
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(blocks) == 1
    return str(blocks[0])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keys(epoch: int = 0) -> Tensor:
    return random_numbers.keys(0, epoch, torch.arange(6), 2)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_the_function_in_the_docs_darkens_views_towards_one_side(channels: int, folder: Path) -> None:
    (folder / "shades.py").write_text(documented())
    images = photos(channels=channels)
    augmenter, plain = Augmenter(Augmentation(own="shades:shade")), Augmenter(Augmentation())
    for epoch in range(2):
        shaded, views = augmenter(images, keys(epoch)), plain(images, keys(epoch))
        assert torch.equal(views, random_views(images, keys(epoch), Augmentation()))
        numbers = random_numbers.uniform(random_numbers.derived(keys(epoch), 2), 2)
        for view, before, (strength, turn) in zip(
            shaded.flatten(0, 1), views.flatten(0, 1), numbers.flatten(0, 1).tolist(), strict=True
        ):
            corner = 0.7 * (torch.cos(torch.tensor(6.283 * turn)) + torch.sin(torch.tensor(6.283 * turn)))
            expected = before[:, -1, -1] * (1 - 0.5 * strength * (corner + 1) / 2)
            torch.testing.assert_close(view[:, -1, -1], expected)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("return [views]", "returns a list: make it return a tensor"),
        (
            "return views[:, :, 1:]",
            "returns float32 [12, 3, 31, 40] on cpu for float32 [12, 3, 32, 40] on cpu: make it return the same kind, "
            "shape and device",
        ),
        ("return views.half()", "returns float16 [12, 3, 32, 40] on cpu for float32"),
        ("return views / 0", "returns values that are NaN or infinite: fix it"),
        ("return 1.5 - 2 * views", "clip them to 0 and 1"),
        (
            "return views * torch.rand(len(views), 1, 1, 1)",
            "returns other views when it is called again with the same keys: draw its random numbers from the keys",
        ),
        (
            "return (views + views.flip(0)) / 2",
            "returns other views of an image beside other images: make each view of its own image and key alone",
        ),
        (
            "return views * torch.rand(len(views), generator=torch.manual_seed(int(keys[0])))[:, None, None, None]",
            "returns other views of an image beside other images",
        ),
        ("return [][0]", "fails on line 4 of"),
        ("raise SystemExit(0)", "fails on line 4 of"),
    ],
)
def test_a_function_that_does_not_keep_to_what_is_asked_is_one_sentence(
    code: str, sentence: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    name = f"faulty{next(iter(request.node.callspec.indices.values()))}"  # a module is imported once in a process
    (folder / f"{name}.py").write_text(f"import torch\n\ndef change(views, keys):\n    {code}\n")
    with torch.random.fork_rng(), pytest.raises(UserError) as error:
        Augmenter(Augmentation(own=f"{name}:change"))(photos(), keys())
    assert str(error.value).startswith(f"augmentation.own: {name}:change ") and sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_function_is_checked_in_the_first_batch_only(folder: Path) -> None:
    (folder / "counted.py").write_text("calls = []\n\ndef same(views, keys):\n    calls.append(1)\n    return views\n")
    augmenter = Augmenter(Augmentation(own="counted:same"))
    import counted  # type: ignore[import-not-found]

    counts = []
    for epoch in range(3):
        augmenter(photos(), keys(epoch))
        counts.append(len(counted.calls))
    assert counts == [4, 5, 6]


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("views[1:]", "returns float32 [11, 3, 32, 40] on cpu for float32 [12, 3, 32, 40] on cpu"),
        ("views.flatten(2)", "returns float32 [12, 3, 1280] on cpu for float32 [12, 3, 32, 40] on cpu"),
        ("views.double()", "returns float64 [12, 3, 32, 40] on cpu for float32"),
        ("views.resize_(1)", "returns float32 [1] on cpu for float32 [12, 3, 32, 40] on cpu"),
        ("None", "returns a NoneType: make it return a tensor"),
    ],
)
def test_what_a_function_returns_later_has_the_same_form(
    code: str, sentence: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    name = f"later{request.node.callspec.indices['code']}"
    lines = ["calls = []", "", "def change(views, keys):", "    calls.append(1)"]
    (folder / f"{name}.py").write_text("\n".join([*lines, f"    return views if len(calls) < 6 else {code}"]))
    augmenter = Augmenter(Augmentation(own=f"{name}:change"))
    for epoch in range(2):
        augmenter(photos(), keys(epoch))
    with pytest.raises(UserError) as error:
        augmenter(photos(), keys(2))
    assert str(error.value).startswith(f"augmentation.own: {name}:change {sentence}")


def test_a_module_that_is_not_there_is_told_before_there_are_views(folder: Path) -> None:
    with pytest.raises(UserError, match=r"^augmentation\.own: nowhere:change fails .*no file of nowhere"):
        Augmenter(Augmentation(own="nowhere:change"))
