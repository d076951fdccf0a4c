"""Text that a terminal shows and does not obey."""

from __future__ import annotations

import unicodedata

_DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def visible(text: str) -> str:
    """Return a text with its control characters written out, as Python writes them, since names of files may hold some.

    Line ends and tabs stay. What turns the direction of writing is written out, too, and so are other separators of
    lines and lone surrogates, by which Python names bytes that are no text.
    """
    return "".join(character if _is_harmless(character) else ascii(character)[1:-1] for character in text)


def _is_harmless(character: str) -> bool:
    return character in "\n\t" or (
        unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") and character not in _DIRECTIONS
    )
