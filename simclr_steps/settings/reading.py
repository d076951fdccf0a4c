"""Turn what a user wrote into settings, or into one sentence that says what to fix."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from simclr_steps.machine.errors import UserError
from simclr_steps.settings import strict_yaml
from simclr_steps.settings.base import did_you_mean

_NOT_YAML = (yaml.YAMLError, ValueError, AttributeError, RecursionError)
_MOST_SHOWN = 60  # characters of a value in a message
_EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")


def check(kind: Any, content: Any, where: str = "") -> Any:
    """Return `content` as settings of type `kind`, a settings class or an annotated union of them.

    Raises
    ------
    UserError
        When something is wrong, reporting the first mistake; `where` names the block, as in "pretrains.simclr".
    """
    try:
        _check_names(content, where)
        return TypeAdapter(kind).validate_python(_with_numbers(content))
    except ValidationError as error:
        mistakes = _by_place(error.errors(), content)
        more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
        place, mistake = next(iter(mistakes.items()))
        raise UserError(_sentence(mistake, ".".join(filter(None, [where, *place]))) + more) from None
    except RecursionError:
        raise UserError(f"{where or 'config'}: it contains itself, or is nested too deeply: write it out") from None


def read_settings(kind: Any, text_or_path: str, where: str) -> Any:
    """Read settings from inline JSON or from the path of a YAML or JSON file.

    Raises
    ------
    UserError
        When the file is absent, unreadable, or wrong.
    """
    if text_or_path.lstrip().startswith("{"):
        try:
            content = json.loads(text_or_path, object_pairs_hook=_unrepeated)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{where}: the settings are not valid JSON ({error}): fix them") from None
        return check(kind, content, where)
    return check(kind, read_yaml(Path(text_or_path), where), where)


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; ValueError if a key appears twice."""
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f'the key "{key}" appears twice')
        content[key] = value
    return content


def read_yaml(path: Path, where: str = "") -> Any:
    """Return what a YAML or JSON file says.

    Raises
    ------
    UserError
        When the file is absent, unreadable, not YAML, or repeats a key, with the line; `where` names what it is read
        for.
    """
    prefix = f"{where}: " if where else ""
    try:
        text = path.read_text(encoding="utf-8")
        # YAML, of which JSON is a part, knows no tabs between values.
        return strict_yaml.load(text.replace("\t", " ") if text.startswith("{") else text)
    except OSError as error:
        raise UserError(f"{prefix}cannot read the settings file {path}: {error.strerror}") from None
    except _NOT_YAML as error:
        raise UserError(f"{prefix}{path} is not valid YAML{_lines_of(error)} ({_reason(error)}): fix it") from None


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "problem", error)).split())


def _lines_of(error: Exception) -> str:
    """Return the line where parsing failed, and the one where what was never closed, such as a quotation, began."""
    marks = [getattr(error, name, None) for name in ("context_mark", "problem_mark")]
    lines = sorted({mark.line + 1 for mark in marks if mark})
    return f", line{'s' if len(lines) > 1 else ''} {' to '.join(map(str, lines))}" if lines else ""


def typed(value: Any) -> Any:
    """Return what was given to --config with its nested values read as YAML; Snakemake leaves them as text.

    Raises
    ------
    UserError
        When a value is not valid YAML.
    """
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    try:
        return strict_yaml.load(value) if isinstance(value, str) else value
    except _NOT_YAML as error:
        raise UserError(f"--config: {value} is not valid YAML ({_reason(error)}): quote or fix it") from None


def _by_place(mistakes: Sequence[Mapping[str, Any]], content: Any) -> dict[tuple[str, ...], Mapping[str, Any]]:
    """Return the first mistake at each place, or an unknown key; of a union, that of the member which got furthest."""
    places: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for mistake in mistakes:
        keys = _keys(mistake["loc"], content)
        missing = [str(mistake["loc"][-1])] if mistake["type"] == "missing" else []
        place = (*keys, *(missing if keys[-1:] != missing else []))  # which it may be as null
        if place not in places or mistake["type"] == "unknown_key":  # by which a union's member knows its content best
            places[place] = mistake
    return {
        place: mistake
        for place, mistake in places.items()
        if not any(other[: len(place)] == place for other in places if len(other) > len(place))
    }


def _sentence(mistake: Mapping[str, Any], path: str) -> str:
    kind, context, value = mistake["type"], mistake.get("ctx", {}), mistake.get("input")
    prefix = f"{path}: " if path else ""
    if kind == "missing":
        return f"{prefix}this key is required: add it"
    if kind == "union_tag_not_found":
        return f"{prefix}source is required: set it to digits, torchvision, folder or arrays"
    if kind == "union_tag_invalid":
        words = context["expected_tags"].replace("'", "").split(", ")
        return f'{prefix}source "{context["tag"]}" is not known; {did_you_mean(context["tag"], words)}'
    if kind == "literal_error" and isinstance(value, str):
        allowed = context["expected"].replace(" or ", ", ").split(", ")
        if value in allowed:  # where a word would have quotes
            return f'{prefix}"{value}" is text: write {value} without quotes'
        words = [word.strip("'") for word in allowed]
        return f'{prefix}"{value}" is not known; {did_you_mean(value, words)}'
    if kind == "string_pattern_mismatch":
        return f'{prefix}the name "{value}" must contain only letters, digits, "_", "." and "-"'
    if kind == "string_too_long" and isinstance(value, str):
        return f'{prefix}the name "{value[:20]}…" has {len(value)} characters (limit: {context["max_length"]})'
    if kind == "unknown_key":
        return f"{prefix}{mistake['msg']}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{prefix}{_shown(value)} is wrong: it must be a block of keys, each with its value"
    if kind == "tuple_type":
        return f"{prefix}{_shown(value)} is wrong: it must be a list of two numbers"
    if kind == "list_type":
        form = "with a dash before each entry" if isinstance(value, dict) else f"as in [{_shown(value)}]"
        return f"{prefix}{_shown(value)} is wrong: it must be a list, {form}"
    if kind == "string_type" and isinstance(value, int | float | date):
        return f"{prefix}{_read_as(value)}: put the text in quotes"
    if kind == "too_short":
        return f"{prefix}{_shown(value)} is wrong: it must contain at least {context['min_length']}"
    reason = (
        mistake["msg"].removeprefix("Value error, ").replace("Input should", "must").replace("Tuple should", "must")
    )
    return f"{prefix}{_shown(value)} is wrong: it {reason}"


def _check_names(content: Any, where: str) -> None:
    """Raise UserError where YAML reads a name as something else."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for name, value in inner:
        if isinstance(content, dict) and not isinstance(name, str):
            raise UserError(
                f"{where}{': ' if where else ''}{_read_as(name)}, where a name belongs: put the name in quotes"
            )
        _check_names(value, f"{where}.{name}" if where else str(name))


def _read_as(value: Any) -> str:
    """Return as what YAML reads a text without quotes, which was written in one of several ways."""
    if value is None:
        return "YAML reads null, ~ and an empty value as nothing"
    if isinstance(value, bool):
        return f"YAML reads {'on, yes and true as true' if value else 'off, no and false as false'}"
    return f"YAML reads {value} as a {'number' if isinstance(value, int | float) else 'date'}"


def _shown(value: Any) -> str:
    """Return a value as JSON, of which no more is made than is shown: aliases may stand for a lot of it."""
    shown = ""
    for part in json.JSONEncoder(default=str).iterencode(value):
        shown += part
        if len(shown) > _MOST_SHOWN:
            return shown[: _MOST_SHOWN - 3] + "..."
    return shown


def _with_numbers(content: Any) -> Any:
    """Return the content with 1e-4 as a number, which YAML 1.1 takes for a string because it has no dot."""
    if isinstance(content, dict):
        return {key: _with_numbers(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_with_numbers(value) for value in content]
    if isinstance(content, str) and _EXPONENT.fullmatch(content):
        return float(content)
    return content


def _keys(location: tuple[int | str, ...], content: Any) -> list[str]:
    """Return the keys that lead to a mistake, without the names of union members that pydantic puts among them."""
    keys: list[str] = []
    for part in location:
        if isinstance(content, list):
            content = dict(enumerate(content))
        if isinstance(content, dict) and part in content:
            content = content[part]
            keys.append(str(part))
    return keys
