"""YAML without what no reader expects: duplicate keys, and aliases that expand to more than memory holds."""

from __future__ import annotations

from typing import Any

import yaml

_MOST_VALUES = 1_000_000  # of a text, each alias counted as what it stands for
_LONGEST_NUMBER = 1000  # characters; Python writes no number of more than 4,300 digits, as a message would have to
_CHARACTERS = 100  # of a scalar that count as one more value


def load(text: str) -> Any:
    """Return what a text says.

    Raises
    ------
    yaml.YAMLError
        When it is not YAML, repeats a key, or stands for too much, with the line.
    ValueError, AttributeError, RecursionError
        Errors of Python's own that PyYAML lets through, about impossible dates, numbers or nesting.
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader


class _Loader(yaml.SafeLoader):
    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            _check(node, "the file", {})
        return node


def _check(node: yaml.Node, key: str, counts: dict[yaml.Node, float]) -> float:
    """Return how many values a node stands for, and see that no mapping within repeats a key.

    `key` leads to the node. `counts` holds what is known of others: an alias is the node that it stands for.
    """
    if node in counts:
        return counts[node]
    counts[node] = float("inf")  # to what contains itself
    count = 1.0
    if isinstance(node, yaml.ScalarNode):
        count += len(node.value) // _CHARACTERS
        if node.tag.endswith(":int") and len(node.value) > _LONGEST_NUMBER:
            raise _error(f'the number in "{key}" has {len(node.value):,} digits', node)
    if isinstance(node, yaml.MappingNode):
        first: dict[tuple[str, str], yaml.Node] = {}
        for name, value in node.value:
            inner = key
            if isinstance(name, yaml.ScalarNode) and name.value != "<<":
                inner = name.value
                earlier = first.setdefault((name.tag, name.value), name)
                if earlier is not name:
                    raise _error(f'the key "{name.value}" appears twice', name, earlier)
            count += _check(name, key, counts) + _check(value, inner, counts)
    elif isinstance(node, yaml.SequenceNode):
        count += sum(_check(item, key, counts) for item in node.value)
    if count > _MOST_VALUES:
        limit = f"{_MOST_VALUES:,} values or {_MOST_VALUES * _CHARACTERS:,} characters"
        raise _error(f'the aliases in "{key}" stand for more than {limit}', node)
    counts[node] = count
    return count


def _error(problem: str, node: yaml.Node, since: yaml.Node | None = None) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, since.start_mark if since else None, problem, node.start_mark)
