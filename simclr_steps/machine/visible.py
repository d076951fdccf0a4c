"""Text that a terminal shows and does not obey."""

from __future__ import annotations

import unicodedata


def visible(text: str) -> str:
    """Return a text with its control characters written out, as Python writes them, since names of files may hold some.

    Line ends and tabs stay. Lone surrogates, by which Python names bytes that are no text, are written out, too.
    """
    return "".join(character if _is_harmless(character) else ascii(character)[1:-1] for character in text)


def _is_harmless(character: str) -> bool:
    return character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs")
