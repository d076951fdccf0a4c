from __future__ import annotations

from pathlib import Path

import pytest

from simclr_steps.machine.errors import UserError
from simclr_steps.settings.reading import read_settings, read_yaml
from simclr_steps.settings.umap import UmapSettings

ALIASES = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 1}]" for n in range(12))
MAPPINGS = "\n".join(
    f"a{n}: &a{n} {{{', '.join(f'b{m}: *a{n - 1}' for m in range(9)) if n else 'b: 1'}}}" for n in range(12)
)
MERGED = "\n".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" if n else "a0: &a0 {b: 1}" for n in range(12)
)
TEXTS = f"a1: [&s {'x' * 100_000}{', *s' * 1000}]"


@pytest.mark.parametrize("text", [ALIASES, MAPPINGS, MERGED, TEXTS])
def test_aliases_that_would_fill_the_memory_are_named_with_their_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(text)
    limit = "1,000,000 values or 100,000,000 characters"
    sentence = rf'my\.yaml is not valid YAML, line \d+ \(the aliases in "a\d+" stand for more than {limit}\)'
    with pytest.raises(UserError, match=sentence):
        read_settings(UmapSettings, str(tmp_path / "my.yaml"), "umap")


def test_aliases_and_merged_blocks_are_read(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("a: &a {b: 1, c: 2}\nd: {<<: *a, b: 3}\ne: [*a, *a]\n")
    a = {"b": 1, "c": 2}
    assert read_yaml(tmp_path / "my.yaml") == {"a": a, "d": {"b": 3, "c": 2}, "e": [a, a]}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a: 1\nb: 2\n'a': 3\n", 'lines 1 to 3 (the key "a" appears twice): fix it'),
        ("a:\n- {c: 1, d: 2, c: 1}\n", 'line 2 (the key "c" appears twice): fix it'),
        ('{\n\t"a": 1,\n\t"a": 1\n}', 'lines 2 to 3 (the key "a" appears twice): fix it'),
    ],
)
def test_a_key_that_is_there_twice_is_named_with_its_lines(text: str, lines: str, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        read_yaml(tmp_path / "my.yaml")
    assert str(error.value) == f"{tmp_path}/my.yaml is not valid YAML, {lines}"


def test_a_number_too_long_to_be_written_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(f"a: 1\nb: 0x{'f' * 5000}\n")
    with pytest.raises(UserError, match=r'line 2 \(the number in "b" has 5,002 digits\): fix it'):
        read_yaml(tmp_path / "my.yaml")
