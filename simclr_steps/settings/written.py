"""Settings as lines of YAML with comments, whatever characters the names in them have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import yaml

_LONGEST = 40  # characters of a name in a comment
_WIDTH = 118  # of a line of comments


def line(key: str, value: Any, comment: str = "") -> str:
    """Return a key with its value, a list or mapping in one line, and what there is to say of it."""
    return f"{inline(key)}: {inline(value)}{f' # {comment}' if comment else ''}"


def inline(value: Any) -> str:
    """Return a value in one line that YAML reads as this value: text that it would misread has quotation marks."""
    style = '"' if isinstance(value, str) and not value.isprintable() else None
    text = yaml.safe_dump(
        value, default_flow_style=True, default_style=style, width=float("inf"), allow_unicode=True, sort_keys=False
    )
    return text.removesuffix("...\n").removesuffix("\n")


def named(name: str) -> str:
    """Return a name as a comment has it: short, and without characters that YAML does not allow."""
    short = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"
    return short if short.isprintable() else ascii(short)[1:-1]


def listed(names: Sequence[str], most: int = 8, show: Callable[[str], str] = named) -> str:
    """Return names in one line, of many the first, each as a comment has it or as `show` writes it."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(map(show, names[:most]))}{more}"


def comments(sentences: Iterable[str]) -> list[str]:
    """Return each sentence as lines of comments, those after its first indented; an empty one parts paragraphs."""
    lines = []
    for sentence in sentences:
        text = ""
        for word in sentence.split(" "):
            if text and len(text) + len(word) + 3 > _WIDTH:
                lines.append(f"# {text}")
                text = f"  {word}"
            else:
                text = f"{text} {word}" if text else word
        lines.append(f"# {text}".rstrip())
    return lines


def block(name: str, inner: Iterable[str]) -> list[str]:
    """Return the lines of a block with those that are in it."""
    return [f"{inline(name)}:", *(f"  {text}".rstrip() for text in inner)]


def blocks(by_name: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the lines of blocks with an empty line before each."""
    return [text for name, inner in by_name.items() for text in ("", *block(name, inner))]
