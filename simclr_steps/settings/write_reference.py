"""Write what follows from the code: the key reference config/README.md, the schema of the config, and MANIFEST.

Run as `python -m simclr_steps.settings.write_reference` in the repository's root, after every change of the settings
and of the package's files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from simclr_steps.files import write_text
from simclr_steps.settings.base import Settings
from simclr_steps.settings.config import Config

README = Path("config/README.md")
SCHEMA = Path("workflow/schemas/config.schema.json")
MANIFEST = Path("simclr_steps/MANIFEST")

_HEAD = """\
# The keys of the config

`config.yaml` is the demo; `recipes/` holds configs to start from. Name yours with `--configfile my.yaml`: it stands
alone, and every key that it leaves out has the default below. A key that is not listed here is an error. Hardware is no
part of the config (GPUs, threads, memory): it belongs to `workflow/profiles/`, and changing it reruns nothing.

Editors check and complete a config that starts with this line (the path as seen from the config):

```yaml
# yaml-language-server: $schema=../workflow/schemas/config.schema.json
```

This page is written by `python -m simclr_steps.settings.write_reference`.
"""


def main() -> None:
    """Write all three files."""
    write_text(README, key_reference())
    write_text(SCHEMA, schema())
    write_text(MANIFEST, manifest())


def manifest() -> str:
    """Return the package's files, a line each, which the workflow copies from wherever it is read, even a git tag."""
    package = Path(__file__).parents[1]
    files = (file for file in package.rglob("*") if file.suffix in (".py", ".j2") or file.name == "py.typed")
    return "".join(f"{name}\n" for name in sorted(file.relative_to(package).as_posix() for file in files))


def schema() -> str:
    """Return the JSON schema of the config."""
    content = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def key_reference() -> str:
    """Return the Markdown page of all keys: a table for the config and, below it, one for each class of settings."""
    return "\n".join([_HEAD, *_section(Config, "", set())])


def _section(kind: type[Settings], path: str, written: set[type[Settings]]) -> Iterator[str]:
    """Yield the table of one class and then those of the classes that its keys hold, each once."""
    written.add(kind)
    if path:
        yield f"## {path}\n"
    yield f"{kind.__doc__}\n"
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in kind.model_fields.items():
        yield f"| `{name}` | {_values(field)} | {_default(field)} | {field.description} |"
    yield ""
    for name, field in kind.model_fields.items():
        is_named = get_origin(field.annotation) is dict
        for inner in _settings_in(field.annotation):
            if inner not in written:
                below = f"{path}.{name}".removeprefix(".") + (".NAME" if is_named else "")
                source = inner.model_fields.get("source")
                label = f"{below} with source: {get_args(source.annotation)[0]}" if source else below
                yield from _section(inner, label, written)


def _settings_in(annotation: Any) -> Iterator[type[Settings]]:
    """Yield the settings classes that an annotation names, in its order."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
    for argument in get_args(annotation):
        yield from _settings_in(argument)


def _values(field: FieldInfo) -> str:
    limits = [
        f"{sign} {value}"
        for attribute, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
        for value in [getattr(item, attribute, None) for item in field.metadata]
        if value is not None
    ]
    return ", ".join([_type(field.annotation), *limits])


def _type(annotation: Any) -> str:
    """Return a type as a user of YAML knows it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        limits = next((item for item in arguments[1:] if isinstance(item, FieldInfo)), None)
        within = _values(limits).partition(", ")[2] if limits and limits.metadata else ""
        return ", ".join(filter(None, [_type(arguments[0]), within]))
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, UnionType):
        if all(_is_block(argument) for argument in arguments):
            return "keys below"
        return " or ".join(_type(argument) for argument in arguments)
    if origin is dict:
        return f"names, each with {_type(arguments[1])}"
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is tuple:
        return f"{len(arguments)} × {_type(arguments[0])}"
    if _is_block(annotation):
        return "keys below"
    names = {int: "whole number", float: "number", str: "text", bool: "true, false", NoneType: "null"}
    return names.get(annotation, "any value")


def _is_block(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Settings)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    if isinstance(default, Settings):
        if not default.model_fields_set:
            return "those below"
        default = default.model_dump(mode="json", exclude_unset=True)
    return f"`{json.dumps(default)}`"


if __name__ == "__main__":
    main()
